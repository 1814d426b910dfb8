"""Opening a collection of many codes, and the first answer, each in a fresh process.

    python -m benchmarks.open_collection [--n 10000000] [--bits 64] [--keep FOLDER] [--results FILE]

The items are made up: random codes written through the store as the indexer would. Times are those
of one thread's CPU and do not count the imports. Resident memory is that of the whole process after
the answer, Python and its libraries included.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks import environment, search_results

ROOT = Path(__file__).resolve().parents[1]
_SEGMENT = 65_536
_OPEN = """
import sys, resource
from time import process_time
from hashret.collection import Collection
from benchmarks.environment import resident_bytes
began = process_time()
with Collection.open(sys.argv[1]) as collection:
    n = len(collection)
    opened = process_time()
    collection.similar("12345", k=10)
    answered = process_time()
    resident = resident_bytes()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(n, opened - began, answered - opened, resident, peak)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="the collection: made there, or used again")
    parser.add_argument("--results", type=Path, help="put the figures among those of the search")
    arguments = parser.parse_args()
    environment.set_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.keep or Path(folder) / "c"
        if not path.exists():
            began = perf_counter()
            make_collection(path, arguments.n, arguments.bits)
            print(f"written in {perf_counter() - began:.1f} s")
        runs = []
        for _ in range(arguments.repeats):
            command = [sys.executable, "-c", _OPEN, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
            runs.append([float(part) for part in done.stdout.split()])
    n, opened, answered, resident, peak = (median(column) for column in zip(*runs, strict=True))
    print("| items | open, ms | first answer, ms | resident after, MiB | peak, MiB |")
    print("|---|---|---|---|---|")
    memory = f"{resident / 2**20:.0f} | {peak / 2**20:.0f}"
    print(f"| {n:,.0f} | {1000 * opened:.0f} | {1000 * answered:.0f} | {memory} |")
    if arguments.results is not None:
        record = {"part": "open", "family": "uniform", "bits": arguments.bits, "n": int(n)}
        record |= {"kind": "open", "open_s": opened, "answer_s": answered}
        record |= {"resident_bytes": resident, "peak_bytes": peak}
        record |= {"codes_bytes": int(n) * arguments.bits // 8}
        search_results.replace(arguments.results, [record])


def make_collection(
    path: Path, n: int, n_bits: int, *, removed: int = 0, seed: int = 0, kind: str = "vector"
) -> None:
    """Commit n items of random codes, ids and metadata `n` being their rows, and remove the first.

    To a collection that stands already they are added, as codes of its model.
    """
    import numpy as np

    from hashret.codes import Codes
    from hashret.store.catalog.opening import create_catalog
    from hashret.store.catalog.staging import Staging
    from hashret.store.layout import Layout
    from hashret.store.model_files import write_model
    from hashret.store.segments.record_schema import DIGEST, ItemRecord
    from indexer.ingest.encode import Encoded
    from indexer.ingest.seen import Seen
    from indexer.ingest.segments import SegmentWriter

    rng = np.random.default_rng(seed)
    layout = Layout.create(path)
    with create_catalog(layout, kind) as catalog:
        staging = Staging(catalog)
        begin = staging.next_row
        model = catalog.last_commit().model
        if model is None:
            model = "m000001"
            staging.add_model(write_model(layout, model, {}, {"none": np.zeros(1)}, n_bits))
        staging.remove(list(islice(staging.items.rows(), removed)))
        for first in range(begin, begin + n, _SEGMENT):
            rows = range(first, min(first + _SEGMENT, begin + n))
            codes = Codes(rng.integers(0, 256, (len(rows), n_bits // 8), dtype=np.uint8))
            writer = SegmentWriter(
                layout,
                staging,
                Seen(staging.items),
                model,
                n_bits,
                keeps_payloads=False,
                keeps_thumbnails=False,
            )
            items = [ItemRecord(str(row), bytes(DIGEST), {"n": row}, "") for row in rows]
            writer.gather(items, Encoded(np.arange(len(rows)), codes, None, {}))
            writer.write()
        staging.finish(model)


if __name__ == "__main__":
    main()
