"""What is explained over HTTP is what the library says; and who is refused."""

import json
import shutil
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import Codes, Collection, Item
from hashret.insight.explain import explain
from hashret.insight.meaning.bits import bits
from hashret.server.routes import explaining
from indexer import Indexer
from tests.corpora import clustered_vectors
from tests.server.conftest import asking
from tests.server.test_refusals import VALUES

STORM = "the ship left the harbour in a storm"
ITEM = "notes/sea-004"


@pytest.fixture(scope="module")
def texts(folder):
    with Collection.open(folder / "texts") as collection:
        yield collection


def told(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_it_is_the_librarys_explanation(client, texts):
    beside = {"collection": "texts", "commit": 1}
    expected = beside | explain(texts, payload=STORM, item_id=ITEM).to_json()
    assert told(client.post("/v1/explain", json={"text": STORM, "item": ITEM})) == expected
    expected = beside | explain(texts, query_id="notes/sea-000", item_id=ITEM).to_json()
    asked = {"id": "notes/sea-000", "item": ITEM}
    assert told(client.post("/v1/explain", json=asked)) == expected
    code = texts.get("notes/space-002").code
    expected = beside | explain(texts, code=Codes.from_hex(code), item_id=ITEM).to_json()
    assert told(client.post("/v1/explain", json={"code": code, "item": ITEM})) == expected
    assert expected["query"]["note"] == "a code alone has no parts"


def test_vectors_and_images(three, folder):
    vector = clustered_vectors(60)[7]
    asked = {"collection": "vectors", "vector": vector.tolist(), "item": "3"}
    with Collection.open(folder / "vectors") as vectors:
        expected = explain(vectors, payload=vector, item_id="3").to_json()
    answer = told(three.post("/v1/explain", json=asked))
    assert {key: answer[key] for key in expected} == expected
    assert (answer["parts"], answer["item"]["parts"]) == ("numbers", [])
    assert "--store-features" in answer["item"]["note"]
    answer = told(three.post("/v1/explain", json={"collection": "images", "id": "1", "item": "2"}))
    assert answer["parts"] is None
    assert "--store-images" in answer["query"]["note"]


def test_what_bits_mean(client, texts):
    expected = {"collection": "texts", "commit": 1} | bits(texts).to_json()
    assert told(client.get("/v1/bits")) == expected
    one = told(client.get("/v1/bits", params={"bit": 3, "collection": "texts"}))
    assert one == expected | {"bits": expected["bits"][3:4]}


def test_bits_are_worked_out_once_a_commit_and_nobody_waits_in_a_thread(
    folder, tmp_path, monkeypatch
):
    shutil.copytree(folder / "texts", tmp_path / "texts")
    asked, go_on = [], threading.Event()

    def slow(collection):
        asked.append(collection.commit)
        assert go_on.wait(20)
        return bits(collection)

    monkeypatch.setattr(explaining, "bits", slow)
    with asking(tmp_path, "texts", n_threads=2) as client:
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(client.get("/v1/bits")))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        # the other thread of the two is free to answer
        assert client.post("/v1/query", json={"text": STORM}).status_code == 200
        go_on.set()
        for thread in threads:
            thread.join()
        assert [told(one)["commit"] for one in answers] == [1] * 4
        assert asked == [1]
        with Indexer(tmp_path / "texts") as indexer:
            indexer.remove([ITEM])
            indexer.commit()
        for _ in range(100):
            if told(client.get("/v1/bits"))["commit"] == 2:
                break
            threading.Event().wait(0.05)
        assert asked == [1, 2]
        assert told(client.get("/v1/bits"))["n_items"] == 79


def test_a_failure_is_told_and_not_kept(folder, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("secret")

    with asking(folder, "texts", raises=False) as client:
        with monkeypatch.context() as patch:
            patch.setattr(explaining, "bits", broken)
            answer = client.get("/v1/bits")
            assert (answer.status_code, "secret" in answer.text) == (500, False)
        assert client.get("/v1/bits").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"text": "x"}, 422, "item: "),
        ({"text": "ship", "item": "nobody"}, 404, "got 'nobody'"),
        ({"id": "nobody", "item": ITEM}, 404, "got 'nobody'"),
        ({"text": "zyzzyva", "item": ITEM}, 422, "no word that the collection's vocabulary knows"),
        ({"text": " ", "item": ITEM}, 422, "expected at least one word"),
        ({"item": ITEM}, 422, "expected exactly one of text, vector, sequence, id, code"),
        ({"text": "x", "id": "y", "item": ITEM}, 422, "exactly one"),
        ({"vector": [1.0], "item": ITEM}, 422, "vector: expected text or id or code"),
        ({"code": "ffffffff", "item": ITEM}, 422, "code: expected 16 bits"),
        ({"text": "ship", "item": ITEM, "k": 3}, 422, "k: "),
        ({"text": "ship", "item": 3}, 422, "item: "),
        ({"text": "ship", "item": ITEM, "collection": "other"}, 404, "collection: expected one"),
    ],
)
def test_what_a_question_must_be(client, body, status, said):
    answer = client.post("/v1/explain", json=body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("bit=16", 422, "bit: expected 0 to 15, got 16"),
        ("bit=-1", 422, "bit: "),
        ("bit=x", 422, "bit: "),
        ("bit=" + "9" * 40, 422, "bit: "),
        ("collection=other", 404, "collection: expected one of texts"),
    ],
)
def test_which_bits_there_are(client, query, status, said):
    answer = client.get(f"/v1/bits?{query}")
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_a_text_is_no_path_to_images(three, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"no image")
    asked = {"collection": "images", "text": str(tmp_path / "secret.png"), "item": "1"}
    answer = three.post("/v1/explain", json=asked)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("text: expected id or code, since")


def test_without_a_model_or_a_code(tmp_path, folder):
    with Indexer(tmp_path / "raw", "text") as indexer:
        indexer.add([Item("a", "orbit")])
        indexer.commit()
    shutil.copytree(folder / "texts", tmp_path / "texts")
    with Indexer(tmp_path / "texts") as indexer:
        indexer.add([Item("odd", "xylophone zither")])
        indexer.commit()
    with asking(tmp_path, "raw", "texts") as client:
        for answer in (
            client.get("/v1/bits?collection=raw"),
            client.post("/v1/explain", json={"collection": "raw", "text": "orbit", "item": "a"}),
        ):
            assert answer.status_code == 409
            assert "a collection with a model" in answer.json()["detail"]
            assert str(tmp_path) not in answer.text
        asked = {"collection": "texts", "text": STORM, "item": "odd"}
        answer = client.post("/v1/explain", json=asked)
        assert (answer.status_code, "an item with a code" in answer.text) == (422, True)


def test_hostile_words_are_json_and_nothing_else(client):
    text = "<img/src=x/onerror=alert(1)> ship </script><script>harbour\u2028 ship\x00"
    answer = client.post("/v1/explain", json={"text": text, "item": ITEM})
    assert told(answer)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    answer.content.decode("ascii")


FIELDS = ("text", "vector", "sequence", "id", "code", "item", "collection", "k")
NEAR = {
    "text": st.text() | st.text(alphabet="ship harbour\u0301京都-1@."),
    "code": st.text("0123456789abcdef", min_size=4, max_size=4),
    "id": st.sampled_from([ITEM, "x"]),
    "item": st.sampled_from([ITEM, "notes/space-002", "x"]),
}


@settings(max_examples=150)
@given(
    body=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4)
    | st.fixed_dictionaries({}, optional=NEAR)
)
def test_no_json_ends_in_an_error_of_the_servers_own(client, body):
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/explain", content=json.dumps(body).encode(), headers=headers)
    assert answer.status_code in (200, 404, 422)
