"""The endpoint of the map: laid out once for a commit, and told of meanwhile."""

import shutil
import sys
import time

import pytest

from hashret import Collection
from indexer import Indexer
from tests.corpora import topic_items
from tests.server.conftest import asking


def laid_out(client, **asked):
    """The answer once the map is there."""
    for _ in range(600):
        answer = client.get("/v1/map", params=asked)
        if answer.status_code != 202:
            return answer
        said = answer.json()
        assert said["status"] == "computing"
        assert 0 <= said["done"] <= 1
        time.sleep(0.05)
    raise AssertionError("no map in half a minute")


def test_the_map_has_a_place_and_a_value_for_each_item(client, folder):
    told = laid_out(client, field="topic").json()
    with Collection.open(folder / "texts") as collection:
        assert told["ids"] == collection.ids()
        assert told["values"] == collection.column("topic")
        assert told["commit"] == collection.commit
    assert told["collection"] == "texts"
    assert told["n_items"] == told["shown"] == 80
    assert all(0 <= place <= 1 for place in [*told["x"], *told["y"]])
    assert len(told["x"]) == len(told["y"]) == 80
    without = laid_out(client).json()
    assert without["field"] is without["values"] is None
    assert without["x"] == told["x"]


def test_a_wrong_field_or_name_is_an_error_at_once(three):
    assert three.get("/v1/map?collection=texts&field=nope").status_code == 422
    assert three.get("/v1/map?collection=nope").status_code == 404
    assert three.get("/v1/map").status_code == 422


def test_each_commit_has_its_map_laid_out_once(folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "texts", tmp_path / "texts")
    asked = []

    def counted(collection, **how):
        from hashret.insight.code_map import lay_out

        asked.append(collection.commit)
        return lay_out(collection, **how)

    monkeypatch.setattr("hashret.server.routes.map.lay_out", counted)
    with asking(tmp_path, "texts") as client:
        first = laid_out(client).json()
        assert laid_out(client).json() == first
        assert asked == [first["commit"]]
        with Indexer(tmp_path / "texts") as indexer:
            indexer.add(topic_items(3, seed=9))
            indexer.commit()
        for _ in range(200):  # until the server has taken the commit up
            told = laid_out(client).json()
            if told["commit"] != first["commit"]:
                break
            time.sleep(0.05)
        assert told["n_items"] == 83
        assert asked == [first["commit"], told["commit"]]


def test_without_opentsne_it_is_said_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with asking(folder, "texts") as client:
        answer = laid_out(client)
    assert answer.status_code == 409
    assert "hashret[map]" in answer.json()["detail"]


def test_a_server_that_stops_ends_the_work(folder, monkeypatch):
    monkeypatch.setattr("hashret.insight.tsne._STEPS", 1_000_000)
    with asking(folder, "texts") as client:
        assert client.get("/v1/map").status_code == 202
        began = time.monotonic()
    assert time.monotonic() - began < 20  # and does not wait for the end of it


def test_an_error_of_ours_is_told_as_one(folder, monkeypatch):
    def broken(collection, **how):
        raise ZeroDivisionError

    monkeypatch.setattr("hashret.server.routes.map.lay_out", broken)
    with asking(folder, "texts", raises=False) as client:
        assert laid_out(client).status_code == 500


@pytest.mark.parametrize("name", ["vectors", "images"])
def test_other_kinds_have_maps_too(three, name):
    told = laid_out(three, collection=name).json()
    assert told["shown"] == len(told["ids"]) > 0
