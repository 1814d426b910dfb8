"""Beside a writer: what it deletes may be gone between any two looks at it."""

import os
from pathlib import Path

import pytest

from hashret import Collection
from hashret.collection import verified
from tests.torture.bases import items_of, make

#: What stands for a moment in a collection that is written.
TRANSIENT = (
    *("catalog.sqlite-journal", "catalog.sqlite-wal", "segments/c000009-000000000099.npy.tmp"),
    *("models/m000009/model.json.tmp", "unfinished/encoding.checkpoint.tmp", "catalog.json.tmp"),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make(tmp_path_factory.mktemp("vanishing") / "c", "text", 20)


def asked(path):
    with Collection.open(path) as collection:
        assert len(collection.query(items_of("text", 20)[0].payload, k=3)) == 3


def told(path):
    with Collection.open(path) as collection:
        assert collection.info()["n_items"] == 20


def checked(path):
    assert verified(path).is_sound


@pytest.mark.parametrize("looks", [1, 2, 3, 4])
@pytest.mark.parametrize("name", TRANSIENT)
@pytest.mark.parametrize("read", [asked, told, checked])
def test_a_file_that_goes_after_some_looks_is_as_none(path, monkeypatch, read, name, looks):
    file, at_system = path / name, os.stat
    file.parent.mkdir(exist_ok=True)
    file.touch()
    seen = 0

    def look(looked_at, *arguments, **options):
        nonlocal seen
        found = at_system(looked_at, *arguments, **options)
        if isinstance(looked_at, str | Path) and Path(looked_at) == file:
            seen += 1
            if seen == looks:
                file.unlink()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", look)
        read(path)
    file.unlink(missing_ok=True)
