"""Copies over HTTP are those of the library."""

import numpy as np
import pytest

from hashret import Collection, Item
from hashret.insight.duplicates import duplicates
from hashret.server.routes import duplicates as route
from indexer import Indexer, TrainingOptions
from tests.corpora import topic_items
from tests.server.conftest import asking


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    items = topic_items(40)
    items += [Item(f"copy of {one.id}", one.payload, {"n": 1}) for one in items[:3]]
    with Indexer(folder / "texts", "text") as indexer:
        indexer.fit(items, TrainingOptions(n_bits=16, epochs=1, device="cpu"))
        indexer.add(items)
        indexer.commit()
    return folder


def test_groups_are_those_of_the_library(folder):
    with Collection.open(folder / "texts") as texts:
        found = duplicates(texts)
        expected = [
            {"keep": g[0].id, "items": [one.to_json() for one in g], "n_items": len(g)}
            for g in found
        ]
    assert len(expected) == 3
    with asking(folder, "texts") as client:
        told = client.get("/v1/duplicates").json()
        assert told["groups"] == expected
        assert (told["collection"], told["commit"], told["radius"]) == ("texts", 1, None)
        assert (told["n_groups"], told["more"]) == (3, False)
        told = client.get("/v1/duplicates?limit=2&radius=1").json()
        assert (len(told["groups"]), told["radius"], told["more"]) == (2, 1, True)


@pytest.mark.parametrize(
    ("query", "status"),
    [("collection=other", 404), ("radius=-1", 422), ("radius=x", 422), ("limit=0", 422)],
)
def test_bad_questions(folder, query, status):
    with asking(folder, "texts") as client:
        assert client.get(f"/v1/duplicates?{query}").status_code == status


def test_they_are_found_once_for_a_commit_and_anew_for_the_next(folder, monkeypatch):
    asked = []

    def counted(collection, **how):
        asked.append((collection.commit, how["radius"]))
        return duplicates(collection, **how)

    monkeypatch.setattr(route, "duplicates", counted)
    with asking(folder, "texts") as client:
        for radius in (*range(6), 5):
            assert client.get(f"/v1/duplicates?radius={radius}").status_code == 200
        assert asked == [(1, radius) for radius in range(6)]


def test_a_collection_too_large_to_compare_is_refused(folder, monkeypatch):
    monkeypatch.setattr(route, "_MOST_COMPARED", 10)
    with asking(folder, "texts") as client:
        told = client.get("/v1/duplicates")
        assert told.status_code == 409
        assert "hashret duplicates" in told.json()["detail"]


def test_an_error_is_told_and_not_remembered(folder, monkeypatch):
    def fails(collection, **how):
        raise np.linalg.LinAlgError("no")

    with asking(folder, "texts", raises=False) as client:
        monkeypatch.setattr(route, "duplicates", fails)
        assert client.get("/v1/duplicates").status_code == 500
        monkeypatch.undo()
        assert client.get("/v1/duplicates").status_code == 200
