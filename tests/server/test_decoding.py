"""What codes say over HTTP is what `hashret decode --json` says."""

import json

import pytest
from click.testing import CliRunner

from hashret import Item
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import clustered_vectors
from tests.server.conftest import asking


def told(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("name", "ids", "form"),
    [
        ("texts", ["notes/sea-000", "notes/space-002"], "words"),
        ("vectors", ["7", "3", "7"], "vector"),
        ("images", ["1"], "pixels"),
    ],
)
def test_it_is_what_the_command_line_says(three, folder, name, ids, form):
    options = [part for one in ids for part in ("--id", one)]
    done = CliRunner().invoke(main, ["decode", str(folder / name), *options, "--json"])
    assert done.exit_code == 0, done.output
    expected = [json.loads(line) for line in done.stdout.splitlines()]
    answer = told(three.post("/v1/decode", json={"collection": name, "ids": ids}))
    assert answer == {"collection": name, "commit": 1, "decoded": expected}
    assert [form in one for one in expected] == [True] * len(ids)
    codes = [one.pop("code") for one in expected]
    by_code = told(three.post("/v1/decode", json={"collection": name, "codes": codes}))
    said = [{"code": code, form: one[form]} for code, one in zip(codes, expected, strict=True)]
    assert by_code["decoded"] == said


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "expected exactly one of codes, ids, got none"),
        ({"ids": ["notes/sea-000"], "codes": ["ffff"]}, 422, "codes, ids, got both"),
        ({"ids": ["nobody"]}, 404, "got 'nobody'"),
        ({"ids": []}, 422, "ids: "),
        ({"codes": ["ffffffff"]}, 422, "code: expected 16 bits"),
        ({"codes": ["xy"]}, 422, "codes.0: "),
        ({"codes": ["ffff"] * 101}, 422, "codes: "),
        ({"codes": "ffff"}, 422, "codes: "),
        ({"ids": ["notes/sea-000"], "k": 1}, 422, "k: "),
    ],
)
def test_what_is_refused(client, body, status, said):
    answer = client.post("/v1/decode", json=body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_a_collection_without_a_decoder_says_so(tmp_path):
    with Indexer(tmp_path / "vectors", "vector") as indexer:
        items = [Item(str(i), vector) for i, vector in enumerate(clustered_vectors(60))]
        indexer.fit(items, TrainingOptions(n_bits=16, epochs=1, decoder=False))
        indexer.add(items)
        indexer.commit()
    with asking(tmp_path, "vectors") as client:
        answer = client.post("/v1/decode", json={"ids": ["3"]})
    assert answer.status_code == 409
    assert "decoder" in answer.json()["detail"]
