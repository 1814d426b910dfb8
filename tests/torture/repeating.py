"""A collection made and asked in a process of its own; prints what must be the same every time.

``python -m tests.torture.repeating FOLDER KIND BATCH THREADS [MODEL]``: with MODEL, a collection
whose model is used, the items are encoded with it instead of training anew.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import torch

from hashret import Collection
from indexer import Indexer
from indexer.ingest import intake
from tests.torture.bases import items_of, quick


def main() -> None:
    folder, kind, batch, threads = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:5])
    torch.set_num_threads(threads)
    intake.BATCH = batch
    items = items_of(kind, 120)
    if len(sys.argv) > 5:
        shutil.copytree(sys.argv[5], folder)
    with Indexer(folder, kind) as indexer:
        if len(sys.argv) <= 5:
            indexer.fit(items, quick(kind))
        indexer.add(items)
        indexer.commit()
    print(json.dumps(seen(folder, kind, batch)))  # noqa: T201 - it is what this process is for


def seen(folder: Path, kind: str, batch: int) -> dict[str, str]:
    """Digests of the model's arrays, of the codes by id, and of ranks, queries `batch` at a time."""
    model = b"".join(p.read_bytes() for p in sorted(folder.glob("models/*/*.safetensors")))
    payloads = [item.payload for item in items_of(kind, 120)]
    with Collection.open(folder) as collection:
        codes = [(item.id, item.code, item.metadata) for item in collection.items()]
        ranks = []
        for start in range(0, len(payloads), batch):
            for hits in collection.query(payloads[start : start + batch], k=120):
                ranks.append([(hit.id, hit.distance) for hit in hits])
    return {
        "model": hashlib.sha256(model).hexdigest(),
        "codes": hashlib.sha256(json.dumps(codes).encode()).hexdigest(),
        "ranks": hashlib.sha256(json.dumps(ranks).encode()).hexdigest(),
    }


if __name__ == "__main__":
    main()
