"""A damaged catalog: a new one of its sound rows, ending with the newest commit that is whole."""

import random
import shutil
import sqlite3

import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.errors import DamagedError, HashretError
from hashret.store.layout import Layout
from hashret.store.repair import plan as repair
from hashret.store.repair.verify import examine
from indexer import Indexer
from indexer.cli import main
from tests.catalogs import change
from tests.torture.bases import items_of, quick

PAGE = 4096
ITEMS = items_of("text", 120)
GONE = ITEMS[5].id


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Three segments, each of a commit; one item removed by a fourth."""
    path = tmp_path_factory.mktemp("sound") / "c"
    with Indexer(path, "text", store_features=True) as indexer:
        indexer.fit(ITEMS, quick("text"))
        for part in (ITEMS[:70], ITEMS[70:100], ITEMS[100:]):
            indexer.add(part)
            indexer.commit()
        indexer.remove([GONE])
        indexer.commit()
    return path


@pytest.fixture(scope="module")
def sound(base):
    return contents(base)


@pytest.fixture
def path(base, tmp_path):
    return shutil.copytree(base, tmp_path / "c")


def contents(path):
    with Collection.open(path) as collection:
        return {i.id: (i.code, dict(i.metadata), i.preview, i.text) for i in collection.items()}


def catalog(path):
    return path / "catalog.sqlite"


def repaired(path, sound):
    """Repair, and require that every item is as it was, or named as lost, or known to be back."""
    said = repair.plan(Layout.find(path))
    made = repair.apply(Layout.find(path))
    assert (made.lost_ids, made.moved) == (said.lost_ids, said.moved), "as the dry run said"
    assert (made.falls_back, made.is_partial) == (said.falls_back, said.is_partial)
    assert examine(Layout.find(path)).is_sound
    found = contents(path)
    back = found.keys() - sound.keys()
    assert back <= ({GONE} if made.falls_back or made.is_partial else set())
    assert {item_id: found[item_id] for item_id in found.keys() - back}.items() <= sound.items()
    named = {item_id for item_id in made.lost_ids if not item_id.startswith("(")}
    assert not named & found.keys()
    told = made.is_partial or any("cannot be read" in one for one in made.lost_ids)
    assert told or found.keys() | named >= sound.keys()
    with Indexer(path) as indexer:  # and it can be written to
        indexer.add(ITEMS)
        indexer.commit()
    assert contents(path).keys() == {item.id for item in ITEMS}
    return made


def test_a_lost_header_or_first_page_costs_nothing(path, base, sound):
    whole = catalog(base).read_bytes()
    for hurt in (
        bytes(16),
        bytes(100),
        b"\xff" * 100,
        bytes(PAGE),
        random.Random(0).randbytes(PAGE),
    ):
        catalog(path).write_bytes(hurt + whole[len(hurt) :])
        with pytest.raises(HashretError):
            Collection.open(path)
        assert repaired(path, sound).lost_ids == []
        shutil.rmtree(path)
        shutil.copytree(base, path)


def test_a_lost_first_page_costs_nothing_after_a_compaction(path, sound):
    with Indexer(path) as indexer:
        indexer.compact()
    catalog(path).write_bytes(bytes(PAGE) + catalog(path).read_bytes()[PAGE:])
    made = repaired(path, sound)
    assert made.lost_ids == []
    assert not made.falls_back


@pytest.mark.parametrize("how", ["zeros", "noise", "cut"])
def test_whatever_page_is_lost_the_others_are_rescued(path, base, sound, how):
    whole = catalog(base).read_bytes()
    rng = random.Random(1)
    refused, losses = [], []
    for page in range(1, len(whole) // PAGE):
        at = page * PAGE
        hurt = {"zeros": bytes(PAGE), "noise": rng.randbytes(PAGE), "cut": b""}[how]
        catalog(path).write_bytes(whole[:at] + hurt + (b"" if how == "cut" else whole[at + PAGE :]))
        try:
            losses.append(len(repaired(path, sound).lost_ids))
        except DamagedError:
            refused.append(page)
        shutil.rmtree(path)
        shutil.copytree(base, path)
    if how != "cut":  # a cut takes the tables that stand behind it, too
        assert len(refused) <= 4, "the pages of facts, models, segments and commits"
        assert losses.count(0) >= 4, "the pages of indexes and of removed rows"


@pytest.mark.parametrize(
    ("statement", "commit", "lost"),
    [
        ("UPDATE commits SET n_items = 7 WHERE \"commit\" = 4", 3, set()),
        ('DELETE FROM commits WHERE "commit" = 4', 3, set()),
        ('DELETE FROM commits WHERE "commit" > 2', 2, {item.id for item in ITEMS[100:]}),
        ("DELETE FROM removals", 3, set()),
        ("UPDATE removals SET rows = x'00000000'", 3, set()),
        ("DELETE FROM segments WHERE first_row = 100", 2, {"(20 items, whose ids cannot be read)"}),
        ("UPDATE segments SET n_rows = 19 WHERE first_row = 100", 2, {"(20 items, whose ids cannot be read)"}),
        ("UPDATE meta SET value = '' WHERE key = 'last'", 4, set()),
        ('UPDATE commits SET n_items = 7 WHERE "commit" = 1', 4, set()),
    ],
)  # fmt: skip
def test_the_newest_commit_that_is_whole_is_what_stays(path, sound, statement, commit, lost):
    change(path, statement)
    assert not examine(Layout.find(path)).is_sound
    made = repair.plan(Layout.find(path))
    assert made.commit.commit == commit
    assert made.falls_back == (commit < 4)
    assert set(made.lost_ids) == lost
    repaired(path, sound)


def test_of_no_whole_commit_the_sound_segments_stay_and_it_is_said(path, sound):
    with Indexer(path) as indexer:
        indexer.compact()  # one commit, of one segment
        indexer.add([*items_of("text", 124)[120:]])
        indexer.commit()
    change(path, 'DELETE FROM commits WHERE "commit" < 6')
    change(path, "DELETE FROM segments WHERE n_rows < 10")
    said = CliRunner().invoke(main, ["repair", str(path)]).output
    assert "no commit is whole in it" in said
    made = repair.apply(Layout.find(path))
    assert made.is_partial
    assert contents(path) == sound
    assert examine(Layout.find(path)).is_sound
    assert len(list((path / "damaged" / "segments").glob("*.npy"))) == 1


@pytest.mark.parametrize("beside", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("garbage", [b"", b"garbage" * 1000, bytes(PAGE)])
def test_garbage_beside_the_catalog_is_not_believed(path, sound, beside, garbage):
    catalog(path).with_name(f"catalog.sqlite{beside}").write_bytes(garbage)
    assert contents(path) == sound
    with Indexer(path) as indexer:
        indexer.add(ITEMS)
        indexer.commit()
    assert examine(Layout.find(path)).is_sound


def test_a_damaged_catalog_and_damaged_segments_together(path, sound):
    files = sorted((path / "segments").glob("*[0-9].arrow"))
    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].with_suffix(".npy").unlink()
    catalog(path).write_bytes(bytes(PAGE) + catalog(path).read_bytes()[PAGE:])
    made = repair.apply(Layout.find(path))
    assert len(made.lost_ids) == 69, "a file that is cut names none of its ids"
    found = contents(path)
    without_codes = {item.id for item in ITEMS[70:100]}
    assert found.keys() == {item.id for item in ITEMS[70:]}
    assert {item_id for item_id, (code, *_) in found.items() if not code} == without_codes
    assert all(found[one][1:] == sound[one][1:] for one in found)
    assert examine(Layout.find(path)).is_sound


def test_the_command_says_what_it_does(path):
    before = catalog(path).read_bytes()
    catalog(path).write_bytes(bytes(PAGE) + before[PAGE:])
    assert CliRunner().invoke(main, ["verify", str(path)]).exit_code == 1
    said = CliRunner().invoke(main, ["repair", str(path)])
    assert said.exit_code == 0
    assert "new catalog from what can be read of commit 4: 119 items" in said.output
    assert catalog(path).read_bytes()[:PAGE] == bytes(PAGE), "a dry run changes nothing"
    assert CliRunner().invoke(main, ["repair", str(path), "--apply"]).exit_code == 0
    assert (path / "damaged" / "catalog.sqlite").read_bytes()[PAGE:] == before[PAGE:]
    assert CliRunner().invoke(main, ["verify", str(path)]).exit_code == 0


def test_a_new_catalog_is_not_made_of_another_database(path):
    catalog(path).unlink()
    with sqlite3.connect(catalog(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(DamagedError, match="expected a commit that can be read"):
        repair.apply(Layout.find(path))


def test_without_a_sound_model_nothing_is_rescued(path):
    catalog(path).write_bytes(bytes(PAGE) + catalog(path).read_bytes()[PAGE:])
    model = next((path / "models").iterdir()) / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(DamagedError):
        repair.apply(Layout.find(path))
    assert model.exists()
