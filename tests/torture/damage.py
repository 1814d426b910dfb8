"""Damage a collection, one byte or one block at a time, and ask it everything.

``python -m tests.torture.damage SOUND STALE FOLDER FIRST COUNT WHICH [PLANT]`` prints a JSON line
for each mutation: what was done, and what is wrong with what came of it, if anything is.
SOUND is the collection, STALE one that it was before its last commits: pages that a disk never
wrote are taken from there. WHICH is a part of the names of the files to damage, or "all".
"""

import json
import os
import random
import resource
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hashret import Collection
from hashret.errors import HashretError
from hashret.store.layout import Layout
from hashret.store.repair.verify import examine
from tests.torture.bases import items_of

_MEMORY = 2 << 30
_PAGE = 4096
_ABSENT = "no such item"


def questions(kind: str) -> dict[str, Callable[[Collection], Any]]:
    """Everything that a reader can ask, each as a function from a collection to plain values."""
    payloads = [item.payload for item in items_of(kind, 60)[:40:13]]
    known = [item.id for item in items_of(kind, 60)[1::9]]

    def hits(found):
        return [
            [(h.id, h.distance, h.score, h.code, h.metadata, h.preview) for h in hs] for hs in found
        ]

    def item(one):
        return one.id, one.code, one.metadata, one.preview, one.text

    half = "year < 2005" if kind == "text" else "n < 30"
    return {
        "commit": lambda c: (c.commit, len(c), c.kind, c.n_bits),
        "info": lambda c: {k: v for k, v in c.info().items() if k != "bytes"},
        "query": lambda c: hits(c.query(payloads, 7)),
        "asymmetric": lambda c: hits(c.query(payloads, 7, asymmetric=True)),
        "rerank": lambda c: hits(c.query(payloads, 3, rerank=9, rerank_by="features")),
        "hybrid": lambda c: hits(c.query(payloads, 3, hybrid=c.keeps_texts)),
        "within": lambda c: hits(c.within(payloads, 9)),
        "similar": lambda c: hits(c.similar(known, 5)),
        "get": lambda c: [item(c.get(one)) for one in known],
        "absent": lambda c: (_ABSENT in c, c.find([_ABSENT, known[0]]).tolist()),
        "list": lambda c: [item(one) for one in c.items()],
        "where": lambda c: hits(c.query(payloads, 7, where=half)),
        "list where": lambda c: [one.id for one in c.items(where=half)],
        "column": lambda c: c.column("n"),
        "features": lambda c: _digest(c.features(np.arange(len(c)))),
    }


def _digest(features: Any) -> list[Any]:
    parts = [features] if isinstance(features, np.ndarray) else [features.indices, features.values]
    return [float(np.asarray(part, np.float64).sum()) for part in parts]


def asked(path: Path, kind: str) -> dict[str, str]:
    """The answer to each question; for an error its class, with "!" before what may not be."""
    try:
        with Collection.open(path) as collection:
            return {name: _one(ask, collection) for name, ask in questions(kind).items()}
    except Exception as error:
        return {"open": _error(error)}


def _one(ask: Callable[[Collection], Any], collection: Collection) -> str:
    try:
        return json.dumps(ask(collection))
    except Exception as error:
        return _error(error)


def _error(error: Exception) -> str:
    mark = "error " if isinstance(error, HashretError | OSError) else "!"
    return f"{mark}{type(error).__name__}: {error}"


Change = Callable[[bytes, random.Random, bytes], bytes]


def _flip(data: bytes, rng: random.Random, _: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _over(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new[: len(data) - at] + data[at + len(new) :]


def _byte(data: bytes, rng: random.Random, _: bytes) -> bytes:
    return _over(data, rng.randrange(len(data)), rng.randbytes(1))


def _burst(data: bytes, rng: random.Random, _: bytes) -> bytes:
    return _over(data, rng.randrange(len(data)), rng.randbytes(rng.choice((2, 4, 8, 64, 512))))


def _zeros(data: bytes, rng: random.Random, _: bytes) -> bytes:
    size = rng.choice((1, 16, 512, _PAGE))
    at = rng.randrange(len(data)) // size * size
    return _over(data, at, bytes(size))


def _cut(data: bytes, rng: random.Random, _: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _longer(data: bytes, rng: random.Random, _: bytes) -> bytes:
    return data + rng.randbytes(rng.choice((1, 512, _PAGE)))


def _shifted(data: bytes, rng: random.Random, _: bytes) -> bytes:
    at = rng.randrange(len(data))
    return (
        data[:at] + rng.randbytes(1) + data[at:]
        if rng.random() < 0.5
        else data[:at] + data[at + 1 :]
    )


def _moved(data: bytes, rng: random.Random, _: bytes) -> bytes:
    """One block where another belongs: a write that a disk misdirected."""
    size = _PAGE if len(data) > 2 * _PAGE else max(1, len(data) // 4)
    blocks = -(-len(data) // size)
    source, target = rng.randrange(blocks), rng.randrange(blocks)
    return _over(data, target * size, data[source * size : (source + 1) * size])


def _stale(data: bytes, rng: random.Random, before: bytes) -> bytes:
    """A block as it was before: a write that a disk lost."""
    if not before:
        return _flip(data, rng, before)
    at = rng.randrange(-(-len(before) // _PAGE)) * _PAGE
    return _over(data, at, before[at : at + _PAGE])


CHANGES: tuple[Change, ...] = (
    *(_flip, _flip, _flip, _byte, _burst, _zeros, _cut, _longer, _shifted, _moved, _stale),
)


def mutated(path: Path, stale: Path, rng: random.Random, which: str) -> tuple[str, Path, bytes]:
    """Damage one file of the collection; what was done, the file, and what it was."""
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.stat().st_size)
    files = [p for p in files if which == "all" or which in p.name]
    # the catalog has most ways to be damaged and least of a checksum
    file = rng.choices(files, [6 if "catalog" in p.name else 1 for p in files])[0]
    data = file.read_bytes()
    before = stale / file.relative_to(path)
    if rng.random() < 0.02:
        others = [p for p in files if p.suffix == file.suffix and p != file]
        if others and rng.random() < 0.5:
            other = rng.choice(others)
            file.write_bytes(other.read_bytes())
            return f"{file.name}: now {other.name}", file, data
        file.unlink()
        return f"{file.name}: gone", file, data
    change = rng.choice(CHANGES)
    file.write_bytes(change(data, rng, before.read_bytes() if before.exists() else b""))
    return f"{file.relative_to(path)}: {change.__name__[1:]}", file, data


def with_hot_journal(path: Path) -> None:
    """Leave the collection as a writer that was killed within a transaction does."""
    spare = path.with_name(path.name + "-hot")
    connection = sqlite3.connect(path / "catalog.sqlite", isolation_level=None)
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE segments SET n_rows = 7, files = hex(randomblob(40000))")
    shutil.copytree(path, spare)
    connection.execute("ROLLBACK")
    connection.close()
    shutil.rmtree(path)
    spare.rename(path)


def wrong(expected: dict[str, str], found: dict[str, str], path: Path) -> list[str]:
    """What may not be: another answer, another error than the collection's, an unseen damage."""
    bad = []
    for name, answer in found.items():
        if not answer.startswith("error ") and answer != expected.get(name):
            bad.append(f"{name}: {answer[:300]}")
    if not bad and any(answer.startswith("error ") for answer in found.values()):
        try:
            if examine(Layout.find(path)).is_sound:
                first = next(a for a in found.values() if a.startswith("error "))
                bad.append(f"verify: sound, but {first[:300]}")
        except (HashretError, OSError):
            pass  # could not check, and says why
    return bad


def run(
    sound: Path, stale: Path, folder: Path, first: int, count: int, which: str
) -> Iterator[Any]:
    kind = Collection.open(sound).kind
    expected: dict[str, str] = {}
    for turn in range(first, first + count):
        if not folder.exists() or turn % 50 == 0 or turn == first:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(sound, folder)
            expected = expected or asked(folder, kind)
            if any(answer.startswith(("error", "!")) for answer in expected.values()):
                raise AssertionError(expected)
        rng = random.Random(turn)
        hot = which == "all" and turn % 10 == 9
        if hot:
            with_hot_journal(folder)
        done, file, data = mutated(folder, stale, rng, "catalog" if hot else which)
        found = asked(folder, kind)
        bad = wrong(expected, found, folder)
        yield {
            "turn": turn,
            "done": f"{done}{', hot' if hot else ''}",
            "bad": bad,
            "detected": any(a.startswith("error ") for a in found.values()),
        }
        if hot:
            shutil.rmtree(folder)
        else:
            file.write_bytes(data)
            for journal in folder.glob("catalog.sqlite-*"):
                journal.unlink()
            if (
                which == "all"
                and (folder / "catalog.sqlite").read_bytes()
                != (sound / "catalog.sqlite").read_bytes()
            ):
                shutil.copy(sound / "catalog.sqlite", folder / "catalog.sqlite")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.environ["OMP_NUM_THREADS"] = "1"
    sound, stale, folder, first, count, which = sys.argv[1:7]
    if len(sys.argv) > 7:
        from tests.torture import faults

        getattr(faults, sys.argv[7])()
    for line in run(Path(sound), Path(stale), Path(folder), int(first), int(count), which):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
