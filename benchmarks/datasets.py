"""The public datasets that figures are measured on, with the one protocol that splits them.

Definitions, sources and licences are in `data/`. The bytes are not in the project: they are read
from the folder `--datasets`, else $HASHRET_DATASETS, else ``../shared/datasets`` beside the
project's root.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.datasets import _twenty_newsgroups as newsgroups

if TYPE_CHECKING:
    from hashret.items import Payload


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled items and which of them are database, validation and queries (row numbers).

    The database is the only training data. Labels score; nothing learns from them or is chosen
    by them. `kind` is that of a collection: "text", "image" or "vector". Where the queries are
    the database, each asks for the others (leave-one-out).
    """

    name: str
    kind: str
    payloads: Sequence[Payload] | np.ndarray
    labels: np.ndarray
    database: np.ndarray
    validation: np.ndarray
    queries: np.ndarray

    @property
    def leave_one_out(self) -> bool:
        """Whether every item asks for the others."""
        return np.array_equal(self.database, self.queries)

    def part(self, rows: np.ndarray) -> list[Payload]:
        """The payloads of the given rows, in that order."""
        return [self.payloads[row] for row in rows.tolist()]

    def subsample(self, n_database: int, n_queries: int) -> Dataset:
        """At most so many of the database and of the queries, drawn with a fixed seed."""
        rng = np.random.default_rng(0)
        if self.leave_one_out:
            rows = rng.permutation(self.database)[:n_database]
            return replace(self, database=rows, queries=rows)
        return replace(
            self,
            database=rng.permutation(self.database)[:n_database],
            queries=rng.permutation(self.queries)[:n_queries],
        )


@dataclass(frozen=True, slots=True)
class Cranfield:
    """Cranfield: texts and queries by id, and judgements (query id, text id, grade).

    Grades are the source's: 1 best to 4 minimal, -1 as it stands there. Two texts are empty.
    """

    texts: dict[str, str]
    queries: dict[str, str]
    judgements: list[tuple[str, str, int]]


def default_root() -> Path:
    """The folder of datasets where the command line names none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "datasets"
    return Path(os.environ.get("HASHRET_DATASETS", beside))


def load(name: str, root: Path) -> Dataset:
    """The dataset `name` of `LOADERS`; ValueError on another, FileNotFoundError without data."""
    if name not in LOADERS:
        raise ValueError(f"dataset: expected one of {', '.join(LOADERS)}, got {name!r}; choose one")
    if not root.is_dir():
        raise FileNotFoundError(
            f"datasets: expected a folder at {root}, got none; pass --datasets or set "
            "HASHRET_DATASETS (data/ says how to prepare them)"
        )
    return LOADERS[name](root)


def protocol_split(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Database (80 %), validation (10 %) and queries (10 %) of n rows in file order."""
    order = np.random.default_rng(0).permutation(n)
    return order[: n * 8 // 10], order[n * 8 // 10 : n * 9 // 10], order[n * 9 // 10 :]


def strip_post(text: str) -> str:
    """A newsgroup post without header, footer and quotes, as fetch_20newsgroups(remove=...)."""
    text = newsgroups.strip_newsgroup_header(text)
    text = newsgroups.strip_newsgroup_footer(text)
    return newsgroups.strip_newsgroup_quoting(text)


def subject_of(text: str) -> str:
    """The subject line of a newsgroup post without "Re:", for a short text; "" if there is none."""
    found = re.search(r"^Subject:[ \t]*(?:re:[ \t]*)*(.*)$", text, re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else ""


def _records(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _numbered(labels: Sequence[str]) -> np.ndarray:
    return np.unique(np.asarray(labels), return_inverse=True)[1]


def _texts(name: str, folder: str, strip: Callable[[str], str] = str) -> Callable[[Path], Dataset]:
    def read(root: Path) -> Dataset:
        records = _records(root / folder / "docs.jsonl.gz")
        texts = [strip(record["text"]) for record in records]
        labels = _numbered([record["label"] for record in records])
        return Dataset(name, "text", texts, labels, *protocol_split(len(texts)))

    return read


def _fmnist(root: Path) -> Dataset:
    with np.load(root / "fmnist" / "fmnist.npz", allow_pickle=False) as arrays:
        images, labels, test = arrays["images"], arrays["labels"], arrays["test"]
    nothing = np.empty(0, np.int64)
    database, queries = np.flatnonzero(~test), np.flatnonzero(test)
    return Dataset("fmnist", "image", images, labels.astype(np.int64), database, nothing, queries)


def _photos(root: Path) -> Dataset:
    paths = sorted((root / "photos").glob("*/*.jpg"))
    labels = _numbered([path.parent.name for path in paths])
    # so few of each kind that every one asks for all the others
    rows = np.arange(len(paths))
    return Dataset("photos", "image", paths, labels, rows, np.empty(0, np.int64), rows)


def _minilm(root: Path) -> Dataset:
    vectors = np.load(root / "20ng-minilm" / "embeddings.npy", allow_pickle=False)
    labels = _numbered([record["label"] for record in _records(root / "20ng" / "docs.jsonl.gz")])
    split = protocol_split(len(vectors))
    return Dataset("20ng-minilm", "vector", vectors.astype(np.float32), labels, *split)


#: Labelled datasets by name.
LOADERS: dict[str, Callable[[Path], Dataset]] = {
    "20ng": _texts("20ng", "20ng"),
    "20ng-stripped": _texts("20ng-stripped", "20ng", strip_post),
    "20ng-subjects": _texts("20ng-subjects", "20ng", subject_of),
    "r8": _texts("r8", "r8"),
    "fmnist": _fmnist,
    "photos": _photos,
    "20ng-minilm": _minilm,
}


def load_cranfield(root: Path) -> Cranfield:
    """Cranfield, which has relevance judgements in place of labels."""
    folder = root / "cranfield"
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        queries = [json.loads(line) for line in lines]
    with (folder / "qrels.tsv").open(encoding="utf-8") as lines:
        rows = [line.split() for line in lines]
    return Cranfield(
        texts={str(record["id"]): record["text"] for record in _records(folder / "docs.jsonl.gz")},
        queries={str(query["id"]): query["text"] for query in queries},
        judgements=[(query, text, int(grade)) for query, text, grade in rows],
    )
