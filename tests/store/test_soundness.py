"""verify finds every damage and names it; repair keeps the rest and says exactly what is lost."""

import json

import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.store import repair
from hashret.store.layout import Layout
from hashret.store.repair import verify
from hashret.store.repair.verify import examine
from indexer import Indexer
from indexer.cli import main
from tests.catalogs import change, copied
from tests.torture.bases import items_of, make, quick
from tests.torture.scale import say

pytestmark = pytest.mark.usefixtures("each_catalog")


@pytest.fixture(scope="module")
def base(tmp_path_factory, each_catalog):
    """Two segments: 40 items, then 8 more; features kept."""
    items = items_of("text", 48)
    path = tmp_path_factory.mktemp("sound") / "c"
    with Indexer(path, "text") as indexer:
        indexer.fit(items, quick("text"))
        indexer.add(items[:40])
        indexer.commit()
        indexer.add(items[40:])
        indexer.commit()
    return path


@pytest.fixture
def path(base, tmp_path):
    return copied(base, tmp_path / "c")


def flip(file, at=-1):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def segments(path, suffix=".npy"):
    return sorted((path / "segments").glob(f"*{suffix}"))


def test_a_sound_collection_is_sound(path):
    done = run("verify", path)
    assert done.exit_code == 0
    assert done.output.startswith("sound: commit 2, 48 items")
    assert "nothing to repair" in run("repair", path, "--apply").output


def test_what_is_not_a_collection_could_not_be_checked(tmp_path):
    assert run("verify", tmp_path).exit_code == 2


HURTS = {"flip": flip, "empty": lambda f: f.write_bytes(b""), "delete": lambda f: f.unlink()}


def files_of(path):
    """All files but the catalog and the locks."""
    files = [f for f in path.rglob("*") if f.is_file() and f.stem != "catalog"]
    return [f for f in files if not f.name.startswith(("writer", "readers"))]


def unnoticed(path):
    """The damages to single files that `verify` does not find, or not name, or not alone."""
    missed = []
    for file in files_of(path):
        for how, hurt in HURTS.items():
            before = file.read_bytes()
            hurt(file)
            done = run("verify", path, "--json")
            found = json.loads(done.output)
            named = [damage["path"] for damage in found["damages"]]
            if (done.exit_code, found["sound"], named) != (1, False, [str(file.relative_to(path))]):
                missed.append(f"{how} {file.relative_to(path)}")
            file.write_bytes(before)
    return missed


def test_every_file_is_read_to_its_last_byte(path):
    n_files = len(files_of(path))
    assert n_files == (6 if segments(path, ".safetensors") else 4)
    assert unnoticed(path) == []
    assert run("verify", path).exit_code == 0
    say("P5", f"{len(HURTS)} damages to each of {n_files} files: all found and named")


@pytest.mark.parametrize("check", ["require_sound", "open_segment"])
def test_the_harness_notices_a_checksum_that_is_skipped(path, monkeypatch, check):
    monkeypatch.setattr(verify, check, lambda *_: None)
    assert any(one.startswith("flip") for one in unnoticed(path))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET preview = 'another' WHERE row = 3",
        "UPDATE items SET metadata = '{}' WHERE row = 3",
        "UPDATE items SET removed = 2 WHERE row = 3",
        "DELETE FROM items WHERE row = 3",
        'UPDATE commits SET n_items = 47 WHERE "commit" = 2',
        "DELETE FROM segments WHERE first_row = 40",
        "UPDATE segments SET sha256 = 'x' WHERE first_row = 40",
        "DELETE FROM models",
    ],
)
def test_the_catalog_is_compared_with_itself(path, statement):
    change(path, statement)
    assert run("verify", path).exit_code == 1


def test_a_lost_segment_loses_its_items_and_no_other(path):
    flip(segments(path)[1])
    said = run("repair", path).output.splitlines()
    lost = {line.removeprefix("lost ") for line in said if line.startswith("lost ")}
    assert lost == {item.id for item in items_of("text", 48)[40:]}
    assert not examine(Layout(path)).is_sound, "a dry run changes nothing"
    assert run("repair", path, "--apply").exit_code == 0
    assert run("verify", path).exit_code == 0
    with Collection.open(path) as collection:
        assert {item.id for item in collection.items()} == {
            item.id for item in items_of("text", 48)[:40]
        }
    assert len(list((path / "damaged").rglob("*.npy"))) == 1
    with Indexer(path) as indexer:
        assert indexer.add(items_of("text", 48)).added == 8


def test_a_damaged_row_is_the_only_one_lost(path):
    item_id = min(item.id for item in items_of("text", 48))
    change(path, "UPDATE items SET preview = 'x' WHERE id = (SELECT min(id) FROM items)")
    assert repair.apply(Layout(path)).lost_ids == [item_id]
    with Collection.open(path) as collection:
        assert len(collection) == 47
        assert item_id not in collection
    assert examine(Layout(path)).is_sound


def test_lost_features_cost_no_item(path):
    files = segments(path, ".safetensors")
    if not files:
        pytest.skip("texts keep no features by default any more")
    flip(files[0])
    made = repair.apply(Layout(path))
    assert made.lost_ids == []
    assert examine(Layout(path)).is_sound
    with Collection.open(path) as collection:
        assert len(collection) == 48


def test_a_lost_model_sends_the_collection_back_to_the_one_before(path):
    items = items_of("text", 20)
    with Collection.open(path) as collection:
        before = {item.id: item.code for item in collection.items()}
    with Indexer(path) as indexer:
        indexer.fit(items, quick("text", seed=5))
        indexer.add(items)
        indexer.prune()
        newest = indexer.commit()
    flip(path / "models" / str(newest.model) / "model.safetensors")
    made = repair.plan(Layout(path))
    assert made.fall_back_to == 2
    repair.apply(Layout(path))
    assert examine(Layout(path)).is_sound
    with Collection.open(path) as collection:
        assert {item.id: item.code for item in collection.items()} == before


def test_what_cannot_be_rescued_is_left_alone(path):
    model = next((path / "models").iterdir()) / "model.json"
    flip(model)
    done = run("repair", path, "--apply")
    assert done.exit_code != 0
    assert "restore the collection from a copy" in done.output
    assert model.exists()


def test_make_is_sound(tmp_path):
    assert examine(Layout(make(tmp_path / "v", "vector"))).is_sound
