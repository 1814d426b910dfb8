"""One run of `benchmarks.ingest` in a process of its own: its time, its memory, what it wrote.

    python -m benchmarks.ingest_run COLLECTION DOCUMENTS WORKERS MARK,MARK,...

Adds the documents to the collection; then removes every tenth of them and compacts. Prints JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from benchmarks import environment

environment.set_threads(1)

from hashret import Collection  # noqa: E402
from indexer import Indexer, corpus  # noqa: E402


def main() -> None:
    path, source, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    wanted = [int(mark) for mark in sys.argv[4].split(",")]
    marks: list[dict[str, float]] = []
    began = perf_counter()

    def mark(done: int) -> None:
        seconds = perf_counter() - began
        cpu = process_time()
        marks.append(
            {"documents": done, "seconds": seconds, "cpu": cpu, "bytes": environment.peak_bytes()}
        )

    def watch(stage: str, done: int, total: int | None) -> None:
        if stage == "encode" and wanted and done >= wanted[0]:
            wanted.pop(0)
            mark(done)

    with Indexer(path, workers=workers, on_progress=watch) as indexer:
        tally = indexer.add(corpus.read([source], "text", workers=workers))
        indexer.commit()
        mark(tally.seen)
        stages = indexer.stopwatch.seconds
    once = {mark["documents"]: mark for mark in marks}  # the last one is that of the commit
    report = {"marks": list(once.values()), "stages": stages, "digest": digest(path)}
    print(json.dumps(report | {"compacted": compacted(path)}))


def digest(path: Path) -> str:
    """Of all ids and codes."""
    hasher = hashlib.sha256()
    with Collection.open(path) as collection:
        hasher.update(collection.codes.packed.tobytes())
        for item in collection.items():
            hasher.update(f"{item.id} {item.code}\n".encode())
    return hasher.hexdigest()


def compacted(path: Path) -> dict[str, Any]:
    with Collection.open(path) as collection:
        gone = [item.id for i, item in enumerate(collection.items()) if i % 10 == 0]
    with Indexer(path) as indexer:
        indexer.remove(gone)
        indexer.commit()
        began = perf_counter()
        done = indexer.compact()
        seconds = perf_counter() - began
    return {
        "seconds": seconds,
        "segments": done.segments,
        "size": done.size,
        "dropped": done.dropped,
    }


if __name__ == "__main__":
    main()
