"""verify finds every damage and names it; repair keeps the rest and says exactly what is lost."""

import json

import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.items import Item
from hashret.store.layout import Layout
from hashret.store.repair import plan as repair
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
    """Two segments: 40 items, then 8 more; features and texts kept."""
    items = items_of("text", 48)
    path = tmp_path_factory.mktemp("sound") / "c"
    with Indexer(path, "text", store_features=True) as indexer:
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
    assert n_files == 11
    assert unnoticed(path) == []
    assert run("verify", path).exit_code == 0
    say("P5", f"{len(HURTS)} damages to each of {n_files} files: all found and named")


@pytest.mark.parametrize("check", ["require_sound", "require_model_file"])
def test_the_harness_notices_a_checksum_that_is_skipped(path, monkeypatch, check):
    monkeypatch.setattr(verify, check, lambda *_: None)
    assert any(one.startswith("flip") for one in unnoticed(path))


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE commits SET n_items = 47 WHERE "commit" = 2',
        "DELETE FROM segments WHERE first_row = 40",
        "UPDATE segments SET files = '{}' WHERE first_row = 40",
        "UPDATE segments SET n_coded = 7 WHERE first_row = 40",
        "DELETE FROM models",
    ],
)
def test_the_catalog_is_compared_with_itself(path, statement):
    change(path, statement)
    assert run("verify", path).exit_code == 1


def test_lost_codes_cost_no_item(path):
    items = items_of("text", 48)
    with Collection.open(path) as collection:
        before = {one.id: (one.code, one.metadata, one.text) for one in collection.items()}
    flip(segments(path)[1])
    said = run("repair", path).output
    assert "loses its codes: segment c000002-000000000040" in said
    assert "lost " not in said
    assert not examine(Layout(path)).is_sound, "a dry run changes nothing"
    assert run("repair", path, "--apply").exit_code == 0
    assert run("verify", path).exit_code == 0
    late = {item.id for item in items[40:]}
    with Collection.open(path) as collection:
        found = {one.id: (one.code, one.metadata, one.text) for one in collection.items()}
        assert found == {
            one: ("" if one in late else code, *rest) for one, (code, *rest) in before.items()
        }
        assert collection.info()["uncoded"] == 8
        assert len(collection.query(items[44].payload, k=48)) == 40
    assert len(list((path / "damaged").rglob("*.npy"))) == 1
    with Indexer(path) as indexer:  # the same items again have codes again
        assert indexer.add(items).replaced == 8
        indexer.commit()
    with Collection.open(path) as collection:
        now = {one.id: (one.code, one.metadata, one.text) for one in collection.items()}
        assert now == before


def test_damaged_records_name_the_items_that_they_lose(path):
    (file, *_) = (one for one in segments(path, ".arrow") if "texts" not in one.name)
    data = file.read_bytes()
    flip(file, data.index(b"space-002") + 3)
    flip(file, data.index(b"spacemusicsea") + 3)  # of the topics, all in one block
    before = file.read_bytes()
    said = run("repair", path).output.splitlines()
    lost = {line.removeprefix("lost ") for line in said if line.startswith("lost ")}
    named = {item.id for item in items_of("text", 48)[:40]} - {"space-002"}
    assert lost == named | {"(row 2, whose id cannot be read)"}, "each id has a hash of its own"
    assert run("repair", path, "--apply").exit_code == 0
    assert run("verify", path).exit_code == 0
    with Collection.open(path) as collection:
        assert {one.id for one in collection.items()} == {
            item.id for item in items_of("text", 48)[40:]
        }
    assert (path / "damaged" / "segments" / file.name).read_bytes() == before
    with Indexer(path) as indexer:
        assert indexer.add(items_of("text", 48)).added == 40


def test_of_damaged_records_what_is_sound_is_kept(path):
    """Three bytes of a megabyte: the items whose columns lie in other blocks stay, with their codes."""
    items = [
        Item(f"{n:032x}", items_of("text", 1)[0].payload, {"n": n, "long": str(n) * 40})
        for n in range(4000)
    ]
    with Indexer(path) as indexer:
        indexer.add(items)
        indexer.remove([items[7].id])
        indexer.commit()
    with Collection.open(path) as collection:
        before = {one.id: one for one in collection.items()}
    file = [one for one in segments(path, ".arrow") if "texts" not in one.name][2]
    at = file.read_bytes().index(items[3000].id.encode())
    flip(file, at)
    flip(file, at + 32 * 100)
    flip(file, file.read_bytes().index(b"2000" * 10))  # of the values of "long"
    made = repair.apply(Layout(path))
    assert items[3000].id not in made.lost_ids
    assert {f"(row {row}, whose id cannot be read)" for row in (3048, 3148)} < set(made.lost_ids)
    # the two, and those with a value of 160 letters in one block of 16 KiB
    assert 100 <= len(made.lost_ids) - 2 <= 16_384 // 160 + 2
    with Collection.open(path) as collection:
        found = {one.id: one for one in collection.items()}
        assert found.items() <= before.items()
        assert len(before) - len(found) == len(made.lost_ids)
        assert collection.info()["uncoded"] == 0
        kept = next(item for item in items if item.id in found)
        assert collection.get(kept.id).metadata == kept.metadata
    assert run("verify", path).exit_code == 0


@pytest.mark.parametrize("suffix", [".safetensors", ".texts.arrow"])
@pytest.mark.parametrize("how", HURTS)
def test_lost_features_or_texts_cost_no_item(path, suffix, how):
    with Collection.open(path) as collection:
        before = {one.id: (one.code, one.metadata) for one in collection.items()}
    HURTS[how](segments(path, suffix)[0])
    part = "features" if suffix == ".safetensors" else "texts"
    assert f"loses its {part}" in run("repair", path).output
    assert repair.apply(Layout(path)).lost_ids == []
    assert examine(Layout(path)).is_sound
    with Collection.open(path) as collection:
        assert {one.id: (one.code, one.metadata) for one in collection.items()} == before
        texts = [one.text for one in collection.items()]
        assert texts.count(None) == (40 if part == "texts" else 0)
        assert collection.has_features == (part == "texts")
    with Indexer(path) as indexer:  # what is added still has its text
        indexer.add([Item("new", items_of("text", 1)[0].payload)])
        indexer.commit()
    with Collection.open(path) as collection:
        assert collection.get("new").text == items_of("text", 1)[0].payload


def test_a_segment_of_which_nothing_is_left_goes_alone(path):
    for file in path.glob(f"segments/{segments(path)[1].stem}.*"):
        file.unlink()
    made = repair.apply(Layout(path))
    assert len(made.lost_ids) == 8
    assert examine(Layout(path)).is_sound
    with Collection.open(path) as collection:
        assert len(collection) == 40


def test_a_repair_that_is_killed_loses_nothing_that_is_sound(path, monkeypatch):
    """Damaged files are moved only once what is sound in them stands in others."""
    file = segments(path)[0]
    flip(file)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(repair.Staging, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        repair.apply(Layout(path))
    monkeypatch.undo()
    assert file.exists()
    assert repair.apply(Layout(path)).lost_ids == []
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
    assert (made.falls_back, made.commit.commit) == (True, 2)
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
