"""The same vectors and metadata in one engine: built in one process, asked in another.

    python -m benchmarks.serving_peers build|ask ENGINE FOLDER

FOLDER holds what `write_data` put there; the engine's own files go beside it, to ENGINE.part, which
whoever started `build` then renames to ENGINE. `ask` prints the
figures of every way of asking as one JSON object: milliseconds of processor for a whole question
(10 hits with id and metadata), the recall of the true ten nearest, and memory. An engine that is
not installed exits with ModuleNotFoundError.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.environment import resident_bytes
from benchmarks.processor_time import median_ms, warm_up

K = 10
FIRST_YEAR = 1993  # the condition is "before that year", which a tenth of the items satisfies
_BLOCK = 5_000  # items that an engine is given at a time
_TRAINED_ON = 100_000  # vectors at most that codes are learned on

Answer = list[tuple[str, dict[str, Any]]]
#: A vector, and whether the condition applies, to the ids and metadata of the hits.
Ask = Callable[[np.ndarray, bool], Answer]


class Engine(Protocol):
    """One engine, and its collection at a path."""

    package: str

    @staticmethod
    def build(path: Path, vectors: np.ndarray, records: list[dict[str, Any]]) -> None:
        """Store the vectors under their row numbers as ids, with their metadata."""
        ...

    @staticmethod
    def open(path: Path) -> dict[str, Ask]:
        """The ways of asking what is stored, by name."""
        ...


def write_data(folder: Path, vectors: np.ndarray, asked: np.ndarray) -> None:
    """Write unit vectors (n, d) and questions, made metadata, and how near the true ten are."""
    rng = np.random.default_rng(0)
    years = rng.integers(1990, 2020, len(vectors))
    groups = rng.integers(0, 20, len(vectors))
    floors = [_floors(vectors, asked), _floors(vectors[years < FIRST_YEAR], asked)]
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "asked.npy", asked)
    np.save(folder / "floors.npy", np.array(floors))
    with (folder / "records.jsonl").open("w", encoding="utf-8") as lines:
        for row, (year, group) in enumerate(zip(years.tolist(), groups.tolist(), strict=True)):
            record = {"year": year, "group": f"group-{group}", "subject": f"Subject of post {row}"}
            lines.write(json.dumps(record) + "\n")


def _floors(vectors: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The cosine of the k-th nearest of each question; whoever is as near is a right answer."""
    best = np.full((len(asked), K), -1.0, np.float32)
    for first in range(0, len(vectors), 100_000):
        near = asked @ vectors[first : first + 100_000].T
        near = np.partition(near, -min(K, near.shape[1]), axis=1)[:, -K:]
        best = np.sort(np.concatenate([best, near], axis=1), axis=1)[:, -K:]
    return best[:, 0]


def _records(folder: Path) -> list[dict[str, Any]]:
    with (folder / "records.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _blocks(n: int) -> Iterator[slice]:
    for first in range(0, n, _BLOCK):
        yield slice(first, min(first + _BLOCK, n))


class Hashret:
    """Codes of 128 bits, learned with the default options, and the vectors to rank by."""

    package = "hashret"
    n_bits = 128

    @classmethod
    def build(cls, path: Path, vectors: np.ndarray, records: list[dict[str, Any]]) -> None:
        """Learn codes on a sample and store all."""
        from hashret import Item
        from indexer import Indexer, TrainingOptions

        with Indexer(path, kind="vector", store_features=True, workers=1) as indexer:
            sample = (Item(str(row), vector) for row, vector in enumerate(vectors[:_TRAINED_ON]))
            indexer.fit(sample, TrainingOptions(n_bits=cls.n_bits, seed=0))
            rows = enumerate(zip(vectors, records, strict=True))
            indexer.add(Item(str(row), vector, record) for row, (vector, record) in rows)
            indexer.commit()

    @classmethod
    def open(cls, path: Path) -> dict[str, Ask]:
        """By distance, by score, and by the vectors of a shortlist."""
        from hashret import Collection

        collection = Collection.open(path)

        def way(**how: Any) -> Ask:
            def ask(vector: np.ndarray, limited: bool) -> Answer:
                where = f"year < {FIRST_YEAR}" if limited else None
                hits = collection.query(vector, K, where=where, **how)
                return [(hit.id, dict(hit.metadata)) for hit in hits]

            return ask

        return {
            f"{cls.n_bits} bits": way(),
            "asymmetric": way(asymmetric=True),
            **{f"rerank={n}": way(rerank=n) for n in (50, 100, 200, 300, 500)},
        }


class HashretLonger(Hashret):
    """Codes of twice as many bits: a shorter shortlist holds the true nearest."""

    n_bits = 256


class Chroma:
    """Its default: an HNSW graph."""

    package = "chromadb"

    @staticmethod
    def _client(path: Path) -> Any:
        import chromadb

        settings = chromadb.Settings(anonymized_telemetry=False)
        return chromadb.PersistentClient(str(path), settings=settings)

    @staticmethod
    def build(path: Path, vectors: np.ndarray, records: list[dict[str, Any]]) -> None:
        """Add all in blocks."""
        made = Chroma._client(path).create_collection(
            "vectors", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        for block in _blocks(len(vectors)):
            ids = [str(row) for row in range(block.start, block.stop)]
            made.add(ids=ids, embeddings=vectors[block], metadatas=records[block])

    @staticmethod
    def open(path: Path) -> dict[str, Ask]:
        """By the graph."""
        stored = Chroma._client(path).get_collection("vectors", embedding_function=None)

        def ask(vector: np.ndarray, limited: bool) -> Answer:
            where = {"year": {"$lt": FIRST_YEAR}} if limited else None
            found = stored.query(
                query_embeddings=vector[None],
                n_results=K,
                where=where,
                include=["metadatas", "distances"],
            )
            return list(zip(found["ids"][0], found["metadatas"][0], strict=True))

        return {"HNSW": ask}


class Lance:
    """Every vector compared, as a table without an index does."""

    package = "lancedb"

    @staticmethod
    def _table(path: Path) -> Any:
        import lancedb

        return lancedb.connect(str(path)).open_table("vectors")

    @staticmethod
    def build(path: Path, vectors: np.ndarray, records: list[dict[str, Any]]) -> None:
        """Write one table."""
        import lancedb
        import pyarrow as pa

        columns = {key: [record[key] for record in records] for key in records[0]}
        numbers = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
        ids = [str(row) for row in range(len(vectors))]
        table = pa.table({"id": ids, "vector": numbers, **columns})
        lancedb.connect(str(path)).create_table("vectors", table)

    @staticmethod
    def open(path: Path) -> dict[str, Ask]:
        """By comparing all."""
        return {"flat": Lance._ask(Lance._table(path))}

    @staticmethod
    def _ask(table: Any) -> Ask:
        def ask(vector: np.ndarray, limited: bool) -> Answer:
            query = table.search(vector).distance_type("cosine").limit(K)
            if limited:
                query = query.where(f"year < {FIRST_YEAR}", prefilter=True)
            rows = query.select(["id", "year", "group", "subject", "_distance"]).to_list()
            return [(row.pop("id"), row) for row in rows]

        return ask


class LanceIndexed:
    """Graphs over compressed vectors: the fastest of its indexes."""

    package = "lancedb"

    @staticmethod
    def build(path: Path, vectors: np.ndarray, records: list[dict[str, Any]]) -> None:
        """Write one table and index it."""
        from lancedb.index import HnswSq

        Lance.build(path, vectors, records)
        Lance._table(path).create_index("vector", config=HnswSq(distance_type="cosine"))

    @staticmethod
    def open(path: Path) -> dict[str, Ask]:
        """By the index."""
        return {"HNSW": Lance._ask(Lance._table(path))}


class Usearch:
    """An HNSW graph of keys, and the metadata in a dict."""

    package = "usearch"

    @staticmethod
    def build(path: Path, vectors: np.ndarray, records: list[dict[str, Any]]) -> None:
        """Save the graph and the dict."""
        from usearch.index import Index

        index = Index(ndim=vectors.shape[1], metric="cos", dtype="f32")
        for block in _blocks(len(vectors)):
            index.add(np.arange(block.start, block.stop), vectors[block])
        path.mkdir()
        index.save(path / "graph")
        (path / "records.json").write_text(json.dumps(dict(enumerate(records))), encoding="utf-8")

    @staticmethod
    def open(path: Path) -> dict[str, Ask]:
        """By the graph; a condition is applied to more and more of the nearest."""
        from usearch.index import Index

        index = Index.restore(path / "graph")
        records = json.loads((path / "records.json").read_text(encoding="utf-8"))

        def ask(vector: np.ndarray, limited: bool) -> Answer:
            k = K
            while True:
                ids = [str(key) for key in index.search(vector, k).keys.tolist()]
                if limited:
                    ids = [one for one in ids if records[one]["year"] < FIRST_YEAR][:K]
                if len(ids) == K or k >= len(index):
                    return [(one, records[one]) for one in ids]
                k *= 4

        return {"HNSW": ask}


ENGINES: dict[str, type[Engine]] = {
    "hashret": Hashret,
    "hashret, 256 bits": HashretLonger,
    "Chroma": Chroma,
    "LanceDB": Lance,
    "LanceDB, indexed": LanceIndexed,
    "usearch + dict": Usearch,
}


def measure(engine: type[Engine], folder: Path, path: Path) -> dict[str, Any]:
    """Open and ask in this process; times first, then recall."""
    asked = np.load(folder / "asked.npy")
    python = resident_bytes()
    import_module(engine.package)
    ways = engine.open(path)
    ask = next(iter(ways.values()))
    ask(asked[0], False)
    opened = resident_bytes()
    figures: dict[str, Any] = {"version": version(engine.package), "ways": {}}
    for name, ask in ways.items():
        times = []
        for limited in (False, True):
            warm_up(lambda one: ask(one, limited), asked)  # noqa: B023
            times.append(median_ms(lambda one: ask(one, limited), asked))  # noqa: B023
        figures["ways"][name] = {"single": times[0], "where": times[1]}
    figures["opened_mib"] = (opened - python) / 2**20
    figures["asked_mib"] = (resident_bytes() - python) / 2**20
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    floors = np.load(folder / "floors.npy")
    for name, ask in ways.items():
        for limited, key in enumerate(("recall", "recall_where")):
            figures["ways"][name][key] = float(
                np.mean(
                    [
                        _recall(vectors, ask(vector, bool(limited)), vector, floor)
                        for vector, floor in zip(asked, floors[limited], strict=True)
                    ]
                )
            )
    return figures


def _recall(vectors: np.ndarray, answer: Answer, vector: np.ndarray, floor: float) -> float:
    rows = [int(item_id) for item_id, _ in answer]
    return float((vectors[rows] @ vector >= floor - 1e-5).sum() / K)


def main() -> None:
    """Build or ask one engine."""
    what, name, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    engine = ENGINES[name]
    if what == "build":
        import_module(engine.package)
        engine.build(folder / f"{name}.part", np.load(folder / "vectors.npy"), _records(folder))
    else:
        print(json.dumps(measure(engine, folder, folder / name)))


if __name__ == "__main__":
    main()
