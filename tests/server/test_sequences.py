"""Sequences over HTTP: as lists of tokens or numbers, as strings, in every question."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import Item
from indexer import Indexer, TrainingOptions
from tests.corpora import orders, series
from tests.server.conftest import asking
from tests.training.recipes import change_all

TOKENS = orders(20)
SERIES = series(20)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client of a server with the collections tokens and series."""
    folder = tmp_path_factory.mktemp("sequences")
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, least_steps=2, epochs=1, pretrain_epochs=1, n_units=8, hidden=(16,))
        for name, payloads in (("tokens", TOKENS), ("series", SERIES)):
            items = [Item(f"s{i}", one) for i, one in enumerate(payloads)]
            with Indexer(folder / name, "sequence") as indexer:
                indexer.fit(items, TrainingOptions(n_bits=16, device="cpu"))
                indexer.add(items)
                indexer.commit()
    with asking(folder, "tokens", "series") as client:
        yield client


def ask(client, collection, sequence, status=200, **rest):
    body = {"collection": collection, "sequence": sequence} | rest
    answer = client.post("/v1/query", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize("i", [0, 7])
def test_a_sequence_finds_itself_in_every_form(client, i):
    numbers = SERIES[i].astype(np.float64).tolist()
    for collection, forms in (("series", [numbers]), ("tokens", [TOKENS[i], " ".join(TOKENS[i])])):
        found = [ask(client, collection, one, k=20, include=["code", "preview"]) for one in forms]
        assert all(one == found[0] for one in found)
        (own,) = [hit for hit in found[0]["hits"] if hit["id"] == f"s{i}"]
        assert (own["distance"], own["code"]) == (0, found[0]["code"])
        assert own["preview"]


def test_unknown_tokens_have_no_hits_and_a_note(client):
    told = ask(client, "tokens", ["zzz"], include=["code"])
    assert (told["hits"], told["code"]) == ([], "")
    assert "no token" in told["note"]


@pytest.mark.parametrize(
    ("collection", "sequence", "said"),
    [
        ("tokens", [], "at least one step"),
        ("tokens", "", "at least one step"),
        ("series", [[1, 2], [3]], "2 numbers in each step"),
        ("series", [1, 2], "got 1"),
        ("series", ["a"], "expected numbers"),
        ("series", [[1, None]], "sequence"),
        ("tokens", {"a": 1}, "sequence"),
    ],
)
def test_what_is_no_such_sequence_is_refused(client, collection, sequence, said):
    assert said in ask(client, collection, sequence, 422)["detail"]


def test_a_collection_of_sequences_is_asked_with_sequences_only(client):
    for subject, value in (("text", "a b"), ("vector", [1.0, 2.0])):
        body = {"collection": "tokens", subject: value}
        answer = client.post("/v1/query", json=body)
        assert answer.status_code == 422
        assert "expected sequence or id or code" in answer.json()["detail"]


def test_explanations_name_tokens_and_steps(client):
    body = {"collection": "tokens", "sequence": TOKENS[0], "item": "s3"}
    told = client.post("/v1/explain", json=body).json()
    assert told["parts"] == "words"
    assert {part["word"] for part in told["query"]["parts"]} == set(TOKENS[0])
    body = {"collection": "series", "sequence": SERIES[0].tolist(), "item": "s3"}
    told = client.post("/v1/explain", json=body).json()
    assert told["parts"] == "steps"
    spans = sorted((part["first"], part["last"]) for part in told["query"]["parts"])
    assert spans[0][0] == 0
    assert spans[-1][1] == len(SERIES[0]) - 1


STEPS = st.lists(
    st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none()
    | st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    max_size=4,
)


@settings(max_examples=80)
@given(collection=st.sampled_from(["tokens", "series"]), steps=STEPS | st.text())
def test_no_list_ends_in_an_error_of_the_servers_own(client, collection, steps):
    content = json.dumps({"collection": collection, "sequence": steps}).encode()
    answer = client.post("/v1/query", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 422)
