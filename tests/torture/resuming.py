"""Interrupt a run of indexing at random times until it is done, over and over.

``python -m tests.torture.resuming FOLDER KILLS [PLANT TASK]`` prints a tally as JSON; with a planted
fault, of one task (such as "text-add") up to the first end that is bad. Each run is a fork of this
process, which has imported everything and started no thread, and is killed by SIGKILL.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from hashret import Collection
from hashret.errors import NotACollectionError
from hashret.items import Item
from hashret.store.catalog.opening import open_catalog
from hashret.store.layout import Layout
from hashret.store.model_files import read_model
from indexer import Indexer, TrainingOptions
from indexer.ingest import intake, stored_source
from indexer.ingest import segments as segment_writer
from indexer.training import checkpoints
from tests.torture.bases import items_of, make
from tests.torture.breaking import forked

N = 120
#: A new collection, one with more items and some changed, one learned anew, or of what it holds.
TASKS = (
    ("text", "index"),
    ("vector", "index"),
    ("text", "add"),
    ("text", "retrain"),
    ("vector", "stored"),
)
_MOST_RUNS = 60


def small_steps() -> None:
    """A checkpoint twenty times a second, segments of 20 items, batches of 5."""
    checkpoints.SECONDS = 0.05
    segment_writer.SEGMENT = 20
    intake.BATCH = stored_source.BATCH = 5


def run(kind: str, task: str, path: Path) -> str:
    """The same task again and again: it goes on where it was interrupted."""
    items = items_of(kind, N)
    if task != "index":
        items = [*items[:100], *[Item(i.id, i.payload, {"again": 1}) for i in items[100:]]]
    rounds = None if kind == "vector" else 2
    options = TrainingOptions(n_bits=32, seed=7, device="cpu", epochs=12, rounds=rounds)
    with Indexer(path, kind, resume=True, workers=1, store_features=True) as indexer:
        if task != "add":
            indexer.fit(None if task == "stored" else items, options)
        if task != "stored":
            indexer.add(items)
        if task == "retrain":
            indexer.prune()
        indexer.commit()
        tally = indexer.tally
    return f"{tally.added} {tally.replaced} {tally.unchanged} {tally.removed}"


def state(path: Path) -> str:
    """A digest of all that was committed, but for when and how long it took."""
    with open_catalog(Layout.find(path)) as catalog:
        last = catalog.last_commit()
        described, tensors = read_model(catalog.layout, catalog.model(str(last.model)))
        segments = [
            (
                s.name,
                s.first_row,
                s.n_rows,
                [f.sha256 for f in s.files.values()],
                s.removed.tolist(),
            )
            for s in catalog.segments(last.commit)
        ]
        weights = {name: hashlib.sha256(t.tobytes()).hexdigest() for name, t in tensors.items()}
    for stage in described["training"]["stages"]:
        stage["seconds"] = 0
    with Collection.open(path) as collection:
        items = [(i.id, i.code, i.metadata, i.preview, i.text) for i in collection.items()]
    left = sorted(p.name for p in path.rglob("*") if p.is_file() and "writer" not in p.name)
    seen = [last.commit, last.n_items, described, weights, segments, items, left]
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def committed(path: Path) -> int:
    """The number of the last commit; 0 where there is none."""
    try:
        with Collection.open(path) as collection:
            return collection.commit
    except NotACollectionError:
        return 0


def begin(base: Path | None, path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if base is not None:
        shutil.copytree(base, path)


def killed(kind: str, task: str, path: Path, after: float) -> str:
    """A run that is killed after so many seconds: "killed", or "done" or "failed" before."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            run(kind, task, path)
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + after
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "failed" if status else "done"
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed"


def main(folder: Path, kills: int, only: str = "") -> dict[str, object]:
    rng = random.Random(0)
    tally = {"kills": 0, "ends": 0, "bad": []}
    plans = []
    for kind, task in TASKS:
        if only not in ("", f"{kind}-{task}"):
            continue
        base = None
        if task != "index":
            base = folder / f"base-{kind}-{task}"
            if not base.exists():
                make(base, kind, 110)
        path = folder / f"{kind}-{task}"
        begin(base, path)
        began = time.monotonic()
        status, counts = forked(lambda k=kind, t=task, p=path: run(k, t, p))
        if status != 0:
            raise RuntimeError(counts)
        seconds = time.monotonic() - began
        plans.append((kind, task, base, path, state(path), seconds, committed(path)))
    turn = 0
    while tally["kills"] < kills and not (only and tally["bad"]):
        kind, task, base, path, expected, seconds, n_commits = plans[turn % len(plans)]
        turn += 1
        begin(base, path)
        for attempt in range(_MOST_RUNS):
            # later ones longer: a machine may have become slower than when it was measured
            how = killed(kind, task, path, rng.random() * seconds * (0.6 + attempt / 10))
            if how != "killed":
                break
            tally["kills"] += 1
            if committed(path) == n_commits:  # killed between its commit and its end
                shutil.rmtree(path / "unfinished", ignore_errors=True)
                how = "done"
                break
        tally["ends"] += 1
        if how != "done":
            tally["bad"].append(f"{kind} {task}: {how} after {attempt} kills")
        elif state(path) != expected:
            tally["bad"].append(f"{kind} {task}: another end after {attempt} kills")
    return tally


if __name__ == "__main__":
    torch.set_num_threads(1)
    small_steps()
    if len(sys.argv) > 3:
        from tests.torture import faults

        getattr(faults, sys.argv[3])()
    np.ones((2, 2)) @ np.ones((2, 2))
    made = main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), *sys.argv[4:])
    sys.stdout.write(json.dumps(made))
