"""What an interrupted `hashret index` leaves, and what the next one makes of it."""

import os
import signal
import subprocess
import sys

import pytest

from hashret import Collection, Item
from hashret.errors import TrainingError
from indexer import Indexer
from indexer.ingest import intake, segments
from tests.catalogs import copied
from tests.torture.bases import items_of, make, quick
from tests.torture.resuming import state

pytestmark = pytest.mark.usefixtures("each_catalog")


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    monkeypatch.setattr(segments, "SEGMENT", 10)
    monkeypatch.setattr(intake, "BATCH", 5)


def interrupted_after(items, n, error=KeyboardInterrupt):
    for at, item in enumerate(items):
        if at == n:
            raise error
        yield item


def index(path, items, *, fit=True, stop=None, error=KeyboardInterrupt, prune=False, seed=0):
    """One run, as the command line makes it; its tally and what it said."""
    notes = []
    with Indexer(path, "vector", resume=True, workers=1, on_note=notes.append) as indexer:
        if fit:
            indexer.fit(items, quick("vector", seed))
        indexer.add(items if stop is None else interrupted_after(items, stop, error))
        if prune:
            indexer.prune()
        indexer.commit()
        tally = indexer.tally
    few = [note for note in notes if "too few to learn" in note]  # said of each of these trainings
    assert len(few) == fit
    counts = (tally.added, tally.replaced, tally.unchanged, tally.removed)
    return counts, [note for note in notes if note not in few]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, MemoryError])
def test_what_was_encoded_is_not_encoded_again(tmp_path, error):
    items = items_of("vector", 40)
    whole = index(tmp_path / "whole", items)
    with pytest.raises(error):
        index(tmp_path / "c", items, stop=27, error=error)
    assert len(list((tmp_path / "c" / "segments").glob("*.npy"))) == 2
    with Collection.open(tmp_path / "c") as collection:
        assert collection.commit == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "c" / "segments").iterdir()}
    counts, notes = index(tmp_path / "c", items)
    assert counts == whole[0] == (40, 0, 0, 0)
    assert [note.split()[0] for note in notes] == ["going", "going"]
    assert (
        before.items()
        <= {p: p.stat().st_mtime_ns for p in (tmp_path / "c" / "segments").iterdir()}.items()
    )
    assert state(tmp_path / "c") == state(tmp_path / "whole")
    assert not (tmp_path / "c" / "unfinished").exists()


def test_changed_items_are_counted_as_without_the_interruption(tmp_path):
    make(tmp_path / "base", "vector", 30)
    items = items_of("vector", 40)
    items = [
        Item(i.id, i.payload, {"n": -n} if n % 3 == 0 else i.metadata) for n, i in enumerate(items)
    ]
    for name in ("whole", "c"):
        copied(tmp_path / "base", tmp_path / name)
    whole = index(tmp_path / "whole", items, fit=False, prune=True)
    assert whole[0] == (10, 9, 21, 0)  # the first is the same with -0
    with pytest.raises(KeyboardInterrupt):
        index(tmp_path / "c", items, fit=False, stop=38)
    assert index(tmp_path / "c", items, fit=False, prune=True)[0] == whole[0]
    assert state(tmp_path / "c") == state(tmp_path / "whole")


def test_a_source_that_changed_meanwhile_is_indexed_as_it_is(tmp_path):
    make(tmp_path / "c", "vector", 30)
    items = items_of("vector", 40)
    changed = [Item(i.id, i.payload, {"n": -1 - n}) for n, i in enumerate(items)]
    with pytest.raises(KeyboardInterrupt):
        index(tmp_path / "c", changed, fit=False, stop=36)
    # of what was encoded, some is gone, some is as it was before, some changed once more
    now = [*items[:5], *changed[10:12], *[Item(i.id, i.payload, {"n": 99}) for i in items[12:14]]]
    index(tmp_path / "c", now, fit=False)
    with Collection.open(tmp_path / "c") as collection:
        found = {item.id: item.metadata["n"] for item in collection.items()}
    expected = {item.id: n for n, item in enumerate(items[:30])}
    expected |= {items[10].id: -11, items[11].id: -12, items[12].id: 99, items[13].id: 99}
    assert found == expected


def test_other_options_begin_anew_and_say_so(tmp_path):
    items = items_of("vector", 40)
    with pytest.raises(KeyboardInterrupt):
        index(tmp_path / "c", items, stop=27)
    counts, notes = index(tmp_path / "c", items, seed=4)
    assert counts == (40, 0, 0, 0)
    assert all("anew" in note for note in notes)
    assert len(notes) == 2
    index(tmp_path / "whole", items, seed=4)
    assert state(tmp_path / "c") == state(tmp_path / "whole")


def test_another_writer_in_between_is_not_disturbed(tmp_path):
    make(tmp_path / "c", "vector", 30)
    items = items_of("vector", 40)
    with pytest.raises(KeyboardInterrupt):
        index(tmp_path / "c", items, fit=False, stop=39)
    with Indexer(tmp_path / "c") as indexer:
        indexer.remove([items[3].id])
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        assert {item.id for item in collection.items()} == {
            item.id for n, item in enumerate(items[:30]) if n != 3
        }
    counts, notes = index(tmp_path / "c", items, fit=False)
    assert (counts, notes) == ((11, 0, 29, 0), [])


def test_a_training_that_fails_leaves_nothing(tmp_path, monkeypatch):
    from indexer.training.vectors import towers

    monkeypatch.setattr(
        towers.NearFloats, "__call__", lambda self, features: features.sum() * float("nan")
    )
    with pytest.raises(TrainingError, match="finite"):
        index(tmp_path / "c", items_of("vector", 40))
    assert not (tmp_path / "c").exists()


def test_an_error_of_the_source_leaves_nothing_to_go_on_from(tmp_path):
    make(tmp_path / "c", "vector", 30)
    before = sorted(p.name for p in (tmp_path / "c").rglob("*") if p.is_file())
    with pytest.raises(ZeroDivisionError):
        index(tmp_path / "c", items_of("vector", 60), fit=False, stop=55, error=ZeroDivisionError)
    after = sorted(p.name for p in (tmp_path / "c").rglob("*") if p.is_file())
    assert [name for name in after if not name.startswith("writer")] == [
        name for name in before if not name.startswith("writer")
    ]


_DYING = """
import os, signal
from pathlib import Path
from indexer.fitting import learn
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
honest = learn.train_encoder
def dying(stage, done, total):
    if len(list(Path(os.environ["UNFINISHED"]).glob("*.checkpoint"))) > 1:
        os.kill(os.getpid(), int(os.environ["END"]))
learn.train_encoder = lambda *given, **named: honest(*given, **named | {"on_progress": dying})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_the_command_goes_on_after_control_c_and_kill(tmp_path):
    source = tmp_path / "texts"
    source.mkdir()
    for item in items_of("text", 200):
        (source / f"{item.id}.txt").write_text(item.payload)
    run = "from indexer.cli import main; main()"
    rest = ["index", source, "--to", tmp_path / "c", "--bits", "32"]
    for end in (signal.SIGINT, signal.SIGKILL):
        dying = [sys.executable, "-c", _DYING + run, *rest]
        unfinished = str(tmp_path / "c" / "unfinished")
        environment = os.environ | {"END": str(int(end)), "UNFINISHED": unfinished}
        done = subprocess.run(dying, capture_output=True, env=environment, check=False)
        assert done.returncode != 0
        assert len(list((tmp_path / "c" / "unfinished").glob("*.checkpoint"))) > 1
    command = [sys.executable, "-c", run, *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "going on with the training that was interrupted" in done.stderr
    assert "200 items" in done.stderr
