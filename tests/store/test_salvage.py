"""A damaged catalog: what no checksum contradicts is rescued, the rest is lost by name."""

import random
import shutil

import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.errors import DamagedError, HashretError
from hashret.store import repair
from hashret.store.layout import Layout
from hashret.store.repair.verify import examine
from indexer import Indexer
from indexer.cli import main
from tests.torture.bases import items_of, quick

PAGE = 4096


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Three segments, one item removed; enough items for several pages."""
    items = items_of("text", 120)
    path = tmp_path_factory.mktemp("sound") / "c"
    with Indexer(path, "text", store_features=True) as indexer:
        indexer.fit(items, quick("text"))
        for part in (items[:70], items[70:100], items[100:]):
            indexer.add(part)
            indexer.commit()
        indexer.remove([items[5].id])
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
        return {i.id: (i.code, dict(i.metadata), i.preview) for i in collection.items()}


def catalog(path):
    return path / "catalog.sqlite"


def repaired(path, sound):
    """Repair, and require that every item is either as it was or named as lost; the lost ids."""
    said = repair.plan(Layout.find(path))
    made = repair.apply(Layout.find(path))
    assert (made.lost_ids, made.lost_rows) == (said.lost_ids, said.lost_rows), "as the dry run said"
    assert examine(Layout.find(path)).is_sound
    found = contents(path)
    assert found == {item_id: sound[item_id] for item_id in found}
    named = {item_id for item_id in made.lost_ids if not item_id.startswith("(row ")}
    unnamed = len(made.lost_ids) - len(named)
    assert not named & found.keys()
    assert len(found) + len(named) + unnamed >= len(sound)
    assert unnamed or found.keys() | named >= sound.keys()
    with Indexer(path) as indexer:  # and it can be written to
        indexer.add(items_of("text", 120))
        indexer.commit()
    assert contents(path).keys() == {item.id for item in items_of("text", 120)}
    return made.lost_ids


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
        assert repaired(path, sound) == []
        shutil.rmtree(path)
        shutil.copytree(base, path)


@pytest.mark.parametrize("how", ["zeros", "noise", "cut"])
def test_whatever_page_is_lost_the_others_are_rescued(path, base, sound, how):
    whole = catalog(base).read_bytes()
    rng = random.Random(1)
    refused, losses = [], []
    n_pages = len(whole) // PAGE
    assert n_pages > 12
    for page in range(1, n_pages):
        at = page * PAGE
        hurt = {"zeros": bytes(PAGE), "noise": rng.randbytes(PAGE), "cut": b""}[how]
        rest = b"" if how == "cut" else whole[at + PAGE :]
        catalog(path).write_bytes(whole[:at] + hurt + rest)
        try:
            losses.append(len(repaired(path, sound)))
        except DamagedError:
            refused.append(page)
        shutil.rmtree(path)
        shutil.copytree(base, path)
    if how != "cut":  # a cut takes the tables that stand behind it, too
        assert len(refused) <= 5, "the pages of facts, models, segments, commits; the items' root"
        assert max(losses) < 60
        assert min(losses) == 0


@pytest.mark.parametrize("beside", ["-journal", "-wal", "-shm"])
@pytest.mark.parametrize("garbage", [b"", b"garbage" * 1000, bytes(PAGE)])
def test_garbage_beside_the_catalog_is_not_believed(path, sound, beside, garbage):
    catalog(path).with_name(f"catalog.sqlite{beside}").write_bytes(garbage)
    assert contents(path) == sound
    with Indexer(path) as indexer:
        indexer.add(items_of("text", 120))
        indexer.commit()
    assert examine(Layout.find(path)).is_sound


def test_several_damaged_segments_lose_their_items_and_no_other(path, sound):
    files = sorted((path / "segments").glob("*.npy"))
    for file in files[::2]:
        file.write_bytes(file.read_bytes()[:-1])
    files[1].with_suffix(".safetensors").unlink()
    items = items_of("text", 120)
    lost = {item.id for item in [*items[:70], *items[100:]]} - {items[5].id}
    assert set(repaired(path, sound)) == lost


def test_a_damaged_catalog_and_damaged_segments_together(path, sound):
    files = sorted((path / "segments").glob("*.npy"))
    files[0].unlink()
    catalog(path).write_bytes(bytes(PAGE) + catalog(path).read_bytes()[PAGE:])
    items = items_of("text", 120)
    assert set(repaired(path, sound)) == {item.id for item in items[:70]} - {items[5].id}


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


def test_without_a_sound_model_nothing_is_rescued(path):
    catalog(path).write_bytes(bytes(PAGE) + catalog(path).read_bytes()[PAGE:])
    model = next((path / "models").iterdir()) / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(DamagedError):
        repair.apply(Layout.find(path))
    assert model.exists()
