"""P4: damage never gives a wrong answer: every mutation is noticed or changes nothing."""

import json
import queue
import shutil
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from indexer import Indexer
from tests.torture.bases import items_of, quick
from tests.torture.scale import LONG, say

ROOT = Path(__file__).parents[2]
COUNTS = {"vector": 4500, "text": 4000, "image": 1700} if LONG else {"vector": 120, "text": 60}
_SECONDS = 60  # for one mutation and all that is asked then: longer is a hang


@pytest.fixture(scope="module", params=COUNTS)
def base(request, tmp_path_factory):
    """A collection of three commits and two segments, and what it was before the last two."""
    return made(request.param, tmp_path_factory)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    return made("vector", tmp_path_factory)


def made(kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp(kind)
    path, stale = folder / "sound", folder / "stale"
    items = items_of(kind, 60)
    with Indexer(path, kind, store_features=True) as indexer:
        indexer.fit(items, quick(kind))
        indexer.add(items[:40])
        indexer.commit()
        shutil.copytree(path, stale)
        indexer.add(items[30:])
        indexer.commit()
        indexer.remove([items[4].id, items[50].id])
        indexer.commit()
    return kind, path, stale


def asked(path, stale, folder, count, which="all", plant=()):
    """What came of each of `count` mutations; a process that died or hung is one's fault, too.

    With a planted fault it ends at the first that is bad.
    """
    found = []
    while len(found) < count:
        command = [sys.executable, "-m", "tests.torture.damage", path, stale, folder]
        command += [len(found), count - len(found), which, *plant]
        with subprocess.Popen(
            [str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            lines = _lines(process)
            while (line := lines()) and line.startswith("{"):
                found.append(json.loads(line))
                if plant and found[-1]["bad"]:
                    process.kill()
                    return found
            process.kill()
        if len(found) < count:
            how = line or f"died: {process.returncode}"
            found.append({"turn": len(found), "done": "?", "bad": [how], "detected": False})
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _lines(process):
    """A function to the next line of a process; "hung" if there is none for a while."""
    lines: queue.Queue[str] = queue.Queue()

    def read():
        with suppress(ValueError):  # closed, once the process was killed
            for line in process.stdout:
                lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()

    def following():
        try:
            return lines.get(timeout=_SECONDS)
        except queue.Empty:
            return "hung"

    return following


def test_p4_no_damage_gives_a_wrong_answer(base, tmp_path):
    kind, path, stale = base
    found = asked(path, stale, tmp_path / "c", COUNTS[kind])
    bad = [one for one in found if one["bad"]]
    detected = sum(one["detected"] for one in found)
    ways = Counter(one["done"].split(": ")[-1].split(",")[0] for one in found)
    assert not bad
    assert detected > len(found) / 3, "most mutations do no harm: that proves nothing"
    say(
        "P4",
        f"{kind}: {len(found)} mutations of {len(ways)} ways, {detected} detected, "
        f"{len(found) - detected} with identical answers, 0 wrong, 0 crashes, 0 hangs",
    )


@pytest.mark.parametrize(
    ("plant", "which", "count"),
    [
        # ends at the first mutation that is noticed: so many only where luck is bad
        ("commits_unsummed", "catalog", 3000),
        ("segments_unchecked", ".npy", 300),
        ("blocks_unchecked", ".arrow", 300),
        ("models_unchecked", "model.safetensors", 600),
    ],
)
def test_p4_the_harness_notices_a_checksum_that_is_skipped(vectors, tmp_path, plant, which, count):
    _, path, stale = vectors
    found = asked(path, stale, tmp_path / "c", count, which, [plant])
    assert any(one["bad"] for one in found)
