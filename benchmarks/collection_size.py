"""What a collection of many items takes: built, opened, asked, changed, compacted.

    python -m benchmarks.collection_size --to FOLDER [--items 10000000] [--compact] [--steps ...]

Items have random ids of 32 letters, three fields of metadata and 64-bit codes made up as in
`benchmarks.size`; their model takes bits as they are. Segments are written as `Indexer` writes
them, without the encoding of items. Then each step is a process of its own with one thread; a step
prints its processor seconds, and the most memory beyond that of Python with its imports. FOLDER is
built if it is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks import environment
from benchmarks.size import make_codes

ROOT = Path(__file__).resolve().parents[1]
_BITS, _QUERIES = 64, 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--items", type=int, default=10_000_000)
    parser.add_argument("--steps", default=",".join(STEPS), help=f"of {', '.join(STEPS)}")
    parser.add_argument("--step", help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    environment.set_threads(1)
    if arguments.step:
        print(json.dumps(dict(STEPS[arguments.step](arguments.to))))
        return
    if not arguments.to.exists():
        build(arguments.to, arguments.items)
    for step in arguments.steps.split(","):
        command = [sys.executable, "-m", "benchmarks.collection_size", "--step", step]
        command += ["--to", str(arguments.to)]
        done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE)
        for name, value in json.loads(done.stdout.splitlines()[-1]).items():
            print(f"| {step}: {name} | {value} |", flush=True)


def build(to: Path, n: int) -> None:
    """Write the collection; says what the first and the last segment took."""
    import numpy as np

    from hashret.codes import Codes
    from hashret.items import Item
    from hashret.specs import VectorSpec
    from indexer import Indexer
    from indexer.ingest.encode import Encoded
    from indexer.ingest.segments import SEGMENT

    to.parent.mkdir(parents=True, exist_ok=True)
    codes_file = to.with_suffix(".npy")
    make_codes(codes_file, n, _BITS)
    packed = np.load(codes_file, mmap_mode="r")
    began = process_time()
    with Indexer(to, "vector") as indexer:
        some = [Item(str(i), np.array(one), {}) for i, one in enumerate(packed[:1000])]
        indexer.fit(some, spec=VectorSpec(packed=True))
        for start in range(0, n, SEGMENT):
            part = np.array(packed[start : start + SEGMENT])
            writer = indexer._pending.new_segments()
            before, written = process_time(), _written()
            rows = np.arange(len(part))
            writer.gather(_records(start, len(part)), Encoded(rows, Codes(part), None, {}))
            writer.write()
            if start in (0, SEGMENT) or start + SEGMENT >= n:
                spent = process_time() - before
                mib = (_written() - written) / (1 << 20)
                print(f"| segment {start // SEGMENT} | {spent:.2f} s, {mib:.1f} MiB written |")
            sys.stdout.flush()
        indexer.commit()
    print(f"| built {n:,} items | {process_time() - began:.0f} s |", flush=True)
    codes_file.unlink()


def _records(start: int, n: int) -> list[Any]:
    import numpy as np

    from hashret.store.segments.record_schema import ItemRecord

    rng = np.random.default_rng([7, start])
    ids = rng.bytes(16 * n).hex()
    digests = rng.bytes(16 * n)
    languages = ("de", "en", "fr", "es", "it")
    return [
        ItemRecord(
            ids[32 * i : 32 * i + 32],
            digests[16 * i : 16 * i + 16],
            {"lang": languages[i % 5], "n": start + i, "score": (start + i) % 1000 / 8},
            "",
        )
        for i in range(n)
    ]


def _written() -> int:
    """Bytes that this process has written, by the system's count."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def _took(work: Callable[[], Any]) -> tuple[float, Any]:
    began = process_time()
    found = work()
    return process_time() - began, found


def _opening(to: Path) -> Iterator[tuple[str, Any]]:
    from hashret import Collection

    Collection.open(_tiny(to)).close()  # what is imported on first use is there
    environment.forget_peak()
    before = environment.resident_bytes()
    seconds, collection = _took(lambda: Collection.open(to))
    n = len(collection)
    yield "open, s", round(seconds, 3)
    peak = environment.peak_bytes() - before
    yield "open, most memory over that of the codes", round(peak / (n * _BITS // 8), 2)
    sizes = collection.info()["bytes"]
    besides = sizes["catalog"] + sizes["segments"] - n * _BITS // 8
    yield "bytes an item besides the code", round(besides / n, 1)


def _tiny(to: Path) -> Path:
    """A collection of a few items beside, to load what the first one loads."""
    tiny = to.with_name("tiny")
    if not tiny.exists():
        build(tiny, 1000)
    return tiny


def _looking_up(to: Path) -> Iterator[tuple[str, Any]]:
    from hashret import Collection

    collection = Collection.open(to)
    Collection.open(_tiny(to)).find(["absent"])
    seconds, _ = _took(lambda: "absent" in collection)
    yield "an id that is not there, first, ms", round(1e3 * seconds, 2)
    seconds, _ = _took(lambda: [f"absent {i}" in collection for i in range(_QUERIES)])
    yield "an id that is not there, then, ms", round(1e3 * seconds / _QUERIES, 3)


def _conditions(to: Path) -> Iterator[tuple[str, Any]]:
    from hashret import Collection

    collection = Collection.open(to)
    Collection.open(_tiny(to)).positions_where("n < 3 and lang == 'de'")
    for where in ("lang == 'de'", "n < 5000", "lang == 'en' and score >= 100", "n > 100"):
        seconds, found = _took(lambda where=where: collection.positions_where(where))
        yield f"{where} ({len(found)} items), s", round(seconds, 3)


def _questions(to: Path) -> Iterator[tuple[str, Any]]:
    import numpy as np

    from hashret import Collection

    collection = Collection.open(to)
    rng = np.random.default_rng(3)
    rows = rng.integers(0, len(collection.codes), 3 * _QUERIES)
    flips = np.zeros((len(rows), _BITS // 8), np.uint8)
    flips[:, 0] = 1
    queries = list(collection.codes.packed[rows] ^ flips)
    many = {
        "10 nearest": lambda some: collection.query(some, k=10),
        "10 nearest where": lambda some: collection.query(some, k=10, where="lang == 'de'"),
        "within 2": lambda some: collection.within(some, 2),
        "bucket": lambda some: collection.bucket(some),
    }
    for name, ask in many.items():
        seconds, _ = _took(lambda ask=ask: ask(queries[:_QUERIES]))
        yield f"{name}, first {_QUERIES} at once, s", round(seconds, 2)
        ask(queries[:5])
        seconds, _ = _took(lambda ask=ask: ask(queries[_QUERIES:]))
        yield f"{name}, each of {2 * _QUERIES}, ms", round(1e3 * seconds / (2 * _QUERIES), 3)
        seconds, _ = _took(lambda ask=ask: [ask(one) for one in queries[:_QUERIES]])
        yield f"{name}, single, ms", round(1e3 * seconds / _QUERIES, 3)
    yield "memory, bytes an item", round(environment.resident_bytes() / len(collection), 1)


def _changes(to: Path) -> Iterator[tuple[str, Any]]:
    import numpy as np

    from hashret import Collection
    from hashret.items import Item
    from indexer import Indexer

    open_one = Collection.open(to)
    for what in (_tiny(to), to):

        def add(what: Path = what) -> None:
            with Indexer(what) as indexer:
                indexer.add([Item(f"one {os.getpid()}", np.zeros(_BITS // 8, np.uint8), {})])
                indexer.commit()

        seconds, _ = _took(add)
    yield "one added, s", round(seconds, 3)
    seconds, _ = _took(open_one.refresh)
    yield "refresh, s", round(seconds, 3)

    def remove() -> None:
        with Indexer(to) as indexer:
            indexer.remove(f"one {os.getpid()}")
            indexer.commit()

    seconds, _ = _took(remove)
    yield "one removed, s", round(seconds, 3)
    seconds, _ = _took(open_one.refresh)
    yield "refresh after it, s", round(seconds, 3)


def _compaction(to: Path) -> Iterator[tuple[str, Any]]:
    from indexer import Indexer

    with Indexer(to) as indexer:
        items = indexer._pending.staging.items
        gone = [row for row in items.rows() if row % 10 == 3]
        seconds, _ = _took(lambda: indexer._pending.staging.remove(gone))
        yield f"{len(gone)} removed, s", round(seconds, 2)
        indexer.commit()
        environment.forget_peak()
        seconds, done = _took(indexer.compact)
    yield f"compacted, {done.segments[0]} to {done.segments[1]} segments, s", round(seconds, 1)
    yield "most memory, GiB", round(environment.peak_bytes() / (1 << 30), 2)


#: What is measured, in this order.
STEPS: dict[str, Callable[[Path], Iterator[tuple[str, Any]]]] = {
    "open": _opening,
    "look up": _looking_up,
    "where": _conditions,
    "ask": _questions,
    "change": _changes,
    "compact": _compaction,
}


if __name__ == "__main__":
    main()
