"""P13: collections of every released format open, or are refused with the version named."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from hashret import Collection
from hashret.errors import FormatVersionError
from hashret.features.texts import featurizer as text
from hashret.store.catalog import tables
from hashret.store.catalog.tables import FORMAT_VERSION
from indexer import Indexer
from tests.golden.make import GOLDEN, answers, items_of, make
from tests.torture.scale import say

HERE = Path(__file__).parent
FORMATS = sorted(int(path.name.split("-")[1]) for path in HERE.glob("format-*"))
#: Formats that this version does not read any more; they must be refused by their number.
REFUSED: set[int] = {1}  # before 0.1: rows of the catalog had no checksums


KEPT = [
    (version, path.stem)
    for version in FORMATS
    for path in sorted((HERE / f"format-{version}").glob("*.json"))
]
released = pytest.mark.parametrize(("version", "name"), KEPT)


@pytest.fixture(params=GOLDEN)
def name(request):
    return request.param


def copied(version, name, tmp_path):
    return Path(shutil.copytree(HERE / f"format-{version}" / name, tmp_path / "c"))


def answers_as_it_did(path, version, name):
    """Whether a collection says what the release that wrote it said."""
    expected = json.loads((HERE / f"format-{version}" / f"{name}.json").read_text("utf-8"))
    return json.loads(json.dumps(answers(path, name))) == expected


def test_every_format_up_to_this_one_is_kept():
    assert list(range(1, FORMAT_VERSION + 1)) == FORMATS
    assert {name for version, name in KEPT if version == FORMAT_VERSION} == set(GOLDEN)
    opened = [version for version in FORMATS if version not in REFUSED]
    refused = f"{sorted(REFUSED)} refused by number"
    say("P13", f"formats {opened} of {len(GOLDEN)} kinds of model open, {refused}")


@released
def test_a_released_collection_answers_as_it_did(version, name, tmp_path):
    path = copied(version, name, tmp_path)
    if version in REFUSED:
        with pytest.raises(FormatVersionError, match=f"got '{version}'"):
            Collection.open(path)
        return
    assert answers_as_it_did(path, version, name)


@pytest.mark.parametrize("plant", ["a_format_that_is_not_read_any_more", "another_arithmetic"])
def test_the_harness_notices_a_release_that_breaks_with_the_former(tmp_path, monkeypatch, plant):
    path = copied(FORMAT_VERSION, "text", tmp_path)
    if plant == "another_arithmetic":
        monkeypatch.setattr(text, "_GRID", 2)
        assert not answers_as_it_did(path, FORMAT_VERSION, "text")
    else:
        monkeypatch.setattr(tables, "FORMAT_VERSION", FORMAT_VERSION + 1)
        with pytest.raises(FormatVersionError):
            answers_as_it_did(path, FORMAT_VERSION, "text")


read = pytest.mark.parametrize(
    ("version", "name"), [pair for pair in KEPT if pair[0] not in REFUSED]
)


def format_of(path):
    with sqlite3.connect(path / "catalog.sqlite") as connection:
        (found,) = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    connection.close()
    return int(found)


@read
def test_a_released_collection_can_be_compacted_and_answers_as_it_did(version, name, tmp_path):
    path = copied(version, name, tmp_path)
    notes = []
    with Indexer(path, on_note=notes.append) as indexer:
        indexer.compact()
    assert len(notes) == (version != FORMAT_VERSION)
    assert format_of(path) == FORMAT_VERSION
    assert answers_as_it_did(path, version, name)


@read
def test_a_released_collection_can_be_added_to(version, name, tmp_path):
    path = copied(version, name, tmp_path)
    items = items_of(name)
    with Indexer(path) as indexer:
        tally = indexer.add(items)
        indexer.commit()
    assert format_of(path) == FORMAT_VERSION
    assert (tally.unchanged, tally.added, tally.n_skipped) == (23, 1, 0)
    with Collection.open(path) as collection:
        assert len(collection) == 24
        again = [collection.get(item.id).code for item in items]
        assert again == [collection.coder.encode([i.payload]).codes.hex(0) for i in items]


@pytest.mark.parametrize("version", ["2.0", "999", "text", ""])
def test_a_format_of_the_future_is_refused_by_its_name(version, name, tmp_path):
    path = copied(FORMAT_VERSION, name, tmp_path)
    connection = sqlite3.connect(path / "catalog.sqlite")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (version,))
    # a later format has other tables, and other columns in ours
    connection.execute("ALTER TABLE segments ADD COLUMN later")
    connection.execute("CREATE TABLE of_the_future (x)")
    connection.commit()
    connection.close()
    before = sorted((p, p.read_bytes()) for p in path.rglob("*") if p.is_file())
    for open_ in (Collection.open, Indexer):
        with pytest.raises(FormatVersionError, match=f"expected format .*, got '{version}'"):
            open_(path)
    (path / "writer.lock").unlink(missing_ok=True)
    assert sorted((p, p.read_bytes()) for p in path.rglob("*") if p.is_file()) == before


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [("", "format", 2), ("encoder", "kind", "transformer"), ("features", "of_the_future", 1)],
)
def test_a_model_of_the_future_is_refused_by_its_name(place, field, value, name, tmp_path):
    path = copied(FORMAT_VERSION, name, tmp_path)
    from hashret.coder import Coder
    from hashret.store.catalog.opening import open_catalog
    from hashret.store.layout import Layout
    from hashret.store.model_files import read_model

    with open_catalog(Layout.find(path)) as catalog:
        record = catalog.model(str(catalog.last_commit().model))
        description, tensors = read_model(Layout.find(path), record)
    (description[place] if place else description)[field] = value
    with pytest.raises(FormatVersionError, match=f"{value!r}|{field!r}"):
        Coder.from_description(description, tensors)


@pytest.mark.long  # it trains every kind
def test_the_maker_makes_what_opens(tmp_path):
    make(tmp_path / "made")
    for name in GOLDEN:
        expected = json.loads((tmp_path / "made" / f"{name}.json").read_text("utf-8"))
        assert json.loads(json.dumps(answers(tmp_path / "made" / name, name))) == expected
