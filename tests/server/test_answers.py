"""What is asked over HTTP is answered as the library answers it."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hashret import Collection, Item, kernels
from hashret.as_json import hit_json
from hashret.search.question import Question
from hashret.server import service
from hashret.server.service import make_ready
from indexer import Indexer
from tests.corpora import clustered_vectors
from tests.server.conftest import asking

GOLDEN = Path(__file__).parents[1] / "golden"
STORM = "the ship left the harbour in a storm"


@pytest.fixture(scope="module")
def texts(folder):
    with Collection.open(folder / "texts") as collection:
        yield collection


def hits_of(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["hits"]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"k": 3},
        {"where": "topic in ('sea', 'space') and year > 2004"},
        {"k": 4, "group": "topic"},
    ],
)
def test_hits_are_those_of_the_library(client, texts, how):
    """A question in words is answered by words too, as the command does, and by codes if told."""
    expected = [hit_json(hit) for hit in texts.query(STORM, hybrid=None, **how)]
    assert hits_of(client.post("/v1/query", json={"text": STORM, **how})) == expected
    assert all("words" in hit for hit in expected)
    assert expected
    by_codes = [hit_json(hit) for hit in texts.query(STORM, **how)]
    asked = {"text": STORM, "codes_only": True, **how}
    assert hits_of(client.post("/v1/query", json=asked)) == by_codes != expected


@pytest.mark.parametrize("how", [{"k": 3, "rerank": 40}, {"k": 3, "rerank": 0}])
def test_hits_in_an_order_that_was_asked_for(client, texts, how):
    expected = [hit_json(hit) for hit in texts.query(STORM, **how)]
    assert hits_of(client.post("/v1/query", json={"text": STORM, **how})) == expected


def test_words_alone_find_what_no_code_does(folder, tmp_path):
    """The vocabulary knows no word of this text: its item has no code, and is found."""
    shutil.copytree(folder / "texts", tmp_path / "texts")
    with Indexer(tmp_path / "texts") as indexer:
        indexer.add([Item("odd", "zyzzyva quokka")])
        indexer.commit()
    with asking(tmp_path, "texts") as client:
        told = client.post("/v1/query", json={"text": "quokka", "k": 3}).json()
        assert (told["hits"][0]["id"], told["by"]) == ("odd", "words and codes")
        told = client.post("/v1/query", json={"text": "quokka", "codes_only": True}).json()
        assert (told["hits"], "by" in told) == ([], False)


def test_so_many_unread_texts_are_left_to_codes_as_by_the_command(folder, monkeypatch):
    monkeypatch.setattr("hashret.search.opened.MOST_UNREAD", 10)
    with asking(folder, "texts") as client:
        assert "by" not in client.post("/v1/query", json={"text": STORM}).json()


def test_hits_have_the_snippets_of_the_library(client, texts):
    hits = texts.query(STORM, k=3, hybrid=None)
    parts = texts.snippets(hits, STORM)
    body = {"text": STORM, "k": 3, "include": ["snippet"]}
    told = [hit["snippet"] for hit in hits_of(client.post("/v1/query", json=body))]
    assert told == [{"text": one.text, "marks": list(map(list, one.marks))} for one in parts]
    assert all(one["text"][slice(*mark)] in STORM for one in told for mark in one["marks"])
    assert any(one["marks"] for one in told)
    body = {"id": hits[0].id, "include": ["snippet"]}
    assert not any(hit["snippet"]["marks"] for hit in hits_of(client.post("/v1/query", json=body)))


def test_within_a_radius_all_or_the_first_and_that_there_are_more(client, texts):
    expected = [hit_json(hit) for hit in texts.within(STORM, 4)]
    answer = client.post("/v1/query", json={"text": STORM, "radius": 4})
    assert hits_of(answer) == expected
    assert "more" not in answer.json()
    answer = client.post("/v1/query", json={"text": STORM, "radius": 4, "k": len(expected) - 1})
    assert hits_of(answer) == expected[:-1]
    assert answer.json()["more"] is True
    answer = client.post("/v1/query", json={"text": STORM, "radius": 4, "k": len(expected)})
    assert hits_of(answer) == expected
    assert "more" not in answer.json()


def test_by_id_by_code_and_similar(client, texts):
    item = texts.get("notes/sea-000")
    by_id = hits_of(client.post("/v1/query", json={"id": item.id, "k": 5, "codes_only": True}))
    assert by_id[0]["id"] == item.id
    assert by_id == [hit_json(hit) for hit in texts.similar(item.id, 5, include_self=True)]
    assert hits_of(client.post("/v1/query", json={"code": item.code.upper(), "k": 5})) == by_id
    asked = {"k": 5, "where": "year > 2001", "rerank": 0}
    others = hits_of(client.get(f"/v1/similar/{item.id}", params=asked))
    expected = texts.similar(item.id, 5, where="year > 2001")
    assert others == [hit_json(hit) for hit in expected]
    del asked["rerank"]  # of few texts by codes and features
    answer = client.get(f"/v1/similar/{item.id}", params=asked)
    question = texts.suited(Question(5, where="year > 2001"), of_stored=True)
    assert hits_of(answer) == [hit_json(hit) for hit in texts.ask_similar(question, item.id)]
    assert answer.json()["by"] == "codes and features"


def test_what_else_is_told_if_it_is_asked_for(client, texts):
    parts = ["preview", "text", "code", "plan"]
    told = client.post("/v1/query", json={"text": STORM, "k": 2, "include": parts}).json()
    for hit, one in zip(told["hits"], texts.query(STORM, k=2, hybrid=None), strict=True):
        assert (hit["preview"], hit["text"]) == (one.preview, one.text)
    assert told["code"] == texts.coder.encode([STORM]).codes.hex(0)
    assert told["plan"]["items"] == len(texts)
    of_id = client.get("/v1/similar/notes/sea-000", params={"include": ["code", "text"]}).json()
    assert of_id["code"] == texts.get("notes/sea-000").code
    plain = client.post("/v1/query", json={"text": STORM, "k": 2}).json()
    assert plain.keys() == {"collection", "commit", "hits", "by"}


def test_a_text_without_a_known_word_is_answered_with_why(client):
    told = client.post("/v1/query", json={"text": "zyzzyva", "include": ["code"]}).json()
    assert (told["hits"], told["code"]) == ([], "")
    assert "no word" in told["note"]


def test_an_item_whose_id_has_slashes(client, texts):
    item = texts.get("notes/sea-000")
    told = client.get("/v1/items/notes/sea-000").json()
    assert told["text"] == item.text
    assert (told["code"], told["metadata"]) == (item.code, item.metadata)
    assert client.get("/v1/items/notes%2Fsea-000").json() == told


def test_several_collections_by_name(three):
    vector = clustered_vectors(60)[7].tolist()
    asked = {"collection": "vectors", "vector": vector, "k": 1}
    assert hits_of(three.post("/v1/query", json=asked))[0]["id"] == "7"
    assert three.get("/v1/items/7", params={"collection": "vectors"}).json()["id"] == "7"
    unnamed = three.post("/v1/query", json={"text": STORM})
    assert (unnamed.status_code, "texts, vectors, images" in unnamed.text) == (422, True)
    assert three.get("/v1/items/7", params={"collection": "other"}).status_code == 404
    told = three.get("/v1/stats").json()["collections"]
    assert {name: facts["n_items"] for name, facts in told.items()} == {
        "texts": 80,
        "vectors": 60,
        "images": 12,
    }


def test_concurrent_questions_are_answered_as_single_ones(folder, texts):
    """Of several forms, some wrong: each gets its own answer, and few calls answer many."""
    asked = [
        *({"text": f"{STORM} {n}", "k": 1 + n % 2} for n in range(40)),
        *({"id": "nobody"} for _ in range(5)),
        *({"id": f"notes/sea-{n:03}"} for n in range(0, 80, 4)),
    ]
    with asking(folder, "texts", n_threads=1) as client:
        single = [client.post("/v1/query", json=one) for one in asked]
        calls = int(client.get("/metrics").text.split("\nhashret_batches_total ")[1].split()[0])
        assert calls == len(asked)
        with ThreadPoolExecutor(32) as pool:
            together = list(pool.map(lambda one: client.post("/v1/query", json=one), asked))
        more = int(client.get("/metrics").text.split("\nhashret_batches_total ")[1].split()[0])
    assert [(one.status_code, one.json()) for one in together] == [
        (one.status_code, one.json()) for one in single
    ]
    assert [one.status_code for one in single].count(404) == 5
    assert more - calls < len(asked)


def test_a_new_commit_is_taken_up(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "_REFRESH_SECONDS", 0.02)
    shutil.copytree(folder / "texts", tmp_path / "texts")
    with asking(tmp_path, "texts") as client:
        assert client.get("/v1/items/new").status_code == 404
        with Indexer(tmp_path / "texts") as indexer:
            indexer.add([Item("new", STORM)])
            indexer.commit()
        ends = time.monotonic() + 20
        while client.get("/v1/items/new").status_code != 200 and time.monotonic() < ends:
            time.sleep(0.02)
        told = client.post("/v1/query", json={"text": STORM, "k": 1}).json()
        assert (told["hits"][0]["id"], told["commit"]) == ("new", 2)
        shutil.rmtree(tmp_path / "texts")
        while client.get("/healthz").json() == {"status": "ok"} and time.monotonic() < ends:
            time.sleep(0.02)
        assert client.get("/healthz").json() == {"status": "stale"}
        assert str(tmp_path) not in client.get("/v1/stats").text


def test_an_answer_is_of_one_commit(folder, tmp_path):
    """A collection that stands does not move when the one that it was taken from does."""
    shutil.copytree(folder / "texts", tmp_path / "texts")
    with Collection.open(tmp_path / "texts") as collection:
        standing = collection.standing()
        with Indexer(tmp_path / "texts") as indexer:
            indexer.remove(["notes/sea-000"])
            indexer.commit()
        assert collection.refresh()
        assert (standing.commit, "notes/sea-000" in standing) == (1, True)
        assert (collection.commit, "notes/sea-000" in collection) == (2, False)


def test_a_collection_without_a_model_shows_its_items(tmp_path):
    with Indexer(tmp_path / "new", "text") as indexer:
        indexer.add([Item("a", STORM)])
        indexer.commit()
    with asking(tmp_path, "new") as client:
        assert client.get("/v1/items/a").json()["text"] == STORM
        answer = client.post("/v1/query", json={"text": STORM})
        assert (answer.status_code, "with a model" in answer.json()["detail"]) == (409, True)
    with Collection.open(tmp_path / "new") as collection:
        make_ready(collection)


def test_a_collection_that_keeps_no_texts_or_is_empty_is_served(folder, tmp_path):
    """There are no words to read before somebody asks, and the others are served too."""
    with Collection.open(GOLDEN / "format-2" / "text") as without_texts:
        assert not without_texts.keeps_texts
        make_ready(without_texts)
    shutil.copytree(folder / "texts", tmp_path / "empty")
    with Indexer(tmp_path / "empty") as indexer, Collection.open(tmp_path / "empty") as collection:
        indexer.remove(collection.ids())
        indexer.commit()
        indexer.compact()
        collection.refresh()
        make_ready(collection)
    with asking(tmp_path, "empty") as client:
        answer = client.post("/v1/query", json={"text": STORM})
        assert (answer.status_code, answer.json()["hits"]) == (200, [])
        assert answer.json()["note"] == "the collection has no item with a code"


@pytest.mark.parametrize("are_cached", [True, False])
def test_kernels_are_loaded_before_anybody_asks_unless_they_must_be_compiled(
    folder, monkeypatch, are_cached
):
    loaded = []
    monkeypatch.setattr(kernels, "are_cached", lambda: are_cached)
    monkeypatch.setattr(kernels, "enable", lambda: loaded.append(True))
    with Collection.open(folder / "texts") as collection:
        make_ready(collection)
    assert bool(loaded) == are_cached
