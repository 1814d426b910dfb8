"""A collection of texts, of real posts or of as many made ones as wanted, and what is asked of it.

Up to the number of posts of 20 Newsgroups the texts are these posts, stripped. Beyond it each text
is made of words drawn from one of them, so that topics stay together and buckets as skewed as they
are in life. Questions are the first words of other posts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.datasets import Dataset, load
from benchmarks.processor_time import median_ms, warm_up
from hashret import Collection, Hits, Item

N_QUERIES = 300
_TRAINED_ON = 6_000
_WORDS_ASKED = 12
_FEWEST_WORDS = 5  # of a post that is used
_CONDITION = "year < 1993"  # a tenth of the items


def make(path: Path, n_items: int, datasets: Path) -> None:
    """Commit n texts to a new collection at `path`, with codes of 64 bits.

    The training is a short one. Codes of a million made texts are crowded whatever the training:
    some are those of 10,000 texts, and a mean of 1,900 texts is within 2 bits of a question.
    """
    from indexer import Indexer, Multiples, TrainingOptions

    posts = load("20ng-stripped", datasets)
    options = TrainingOptions(seed=0, rounds=1, multiples=Multiples(epochs=0.25))
    with Indexer(path, kind="text") as indexer:
        indexer.fit(_items(posts, _TRAINED_ON), options)
        indexer.add(_items(posts, n_items))
        indexer.commit()


def _items(posts: Dataset, n_items: int) -> Iterator[Item]:
    """The items in the order of their ids: posts, and if these do not suffice, made texts."""
    usable = _usable(posts, np.concatenate([posts.database, posts.validation]))
    rng = np.random.default_rng(0)
    for row in range(n_items):
        source = usable[row] if row < len(usable) else usable[rng.integers(len(usable))]
        text = str(posts.payloads[source])
        if row >= len(usable):
            words = text.split()
            text = " ".join(words[i] for i in rng.integers(len(words), size=rng.integers(20, 60)))
        group = f"group-{posts.labels[source]}"
        metadata = {"group": group, "year": 1990 + row % 30, "length": len(text)}
        yield Item(f"post-{row:08}", text, metadata)


def _usable(posts: Dataset, rows: np.ndarray) -> list[int]:
    return [row for row in rows.tolist() if len(posts.payloads[row].split()) >= _FEWEST_WORDS]


def queries(datasets: Path) -> list[str]:
    """The first words of posts that no collection of `make` holds."""
    posts = load("20ng-stripped", datasets)
    chosen = islice(_usable(posts, posts.queries), N_QUERIES)
    return [" ".join(posts.payloads[row].split()[:_WORDS_ASKED]) for row in chosen]


def measure(path: Path, asked: list[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each question's name, and its milliseconds of processor: single, and each in a batch.

    Every answer's ids, metadata and previews are read. What has no batch has a single figure.
    """
    with Collection.open(path) as collection:
        ids = [f"post-{row:08}" for row in range(0, len(collection), len(collection) // N_QUERIES)]
        ids = ids[:N_QUERIES]
        verbs: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
            "query": (collection.query, asked),
            "query, rerank=100": (lambda one: collection.query(one, rerank=100), asked),
            "query, rerank=100 by features": (
                lambda one: collection.query(one, rerank=100, rerank_by="features"),
                asked,
            ),
            "query, where": (lambda one: collection.query(one, where=_CONDITION), asked),
            "query, asymmetric": (lambda one: collection.query(one, asymmetric=True), asked),
            "within(2)": (lambda one: collection.within(one, 2), asked),
            "similar": (collection.similar, ids),
        }
        for name, (ask, given) in verbs.items():
            _touch(ask(given))  # compiles, builds what pays off, and reads files
            yield name, _single_and_batch(ask, given)
        yield "get", {"single": median_ms(collection.get, ids)}
        absent = [f"absent-{i}" for i in range(N_QUERIES)]
        began = process_time()
        _is_absent(collection, "absent")
        first = 1e3 * (process_time() - began)
        single = median_ms(lambda one: _is_absent(collection, one), absent)
        yield "an id that is not there", {"first": first, "single": single}
        conditions = [f"{_CONDITION} and length != -{i}" for i in range(1, 20)]
        new = median_ms(lambda where: _touch([collection.query(asked[0], where=where)]), conditions)
        yield "query, a new where", {"single": new}


def _single_and_batch(ask: Callable[[Any], Any], given: list[Any]) -> dict[str, float]:
    warm_up(lambda one: _touch([ask(one)]), given)
    single = median_ms(lambda one: _touch([ask(one)]), given)
    batch = median_ms(lambda many: _touch(ask(many)), [given] * 6) / len(given)
    return {"single": single, "batch": batch}


def _is_absent(collection: Collection, item_id: str) -> None:
    if item_id in collection:
        raise RuntimeError(f"{item_id}: expected no such item, got one")


def _touch(answers: Iterable[Hits]) -> int:
    """Read what a page of results shows of every hit."""
    return sum(
        len(hit.id) + len(hit.metadata) + len(hit.preview) for hits in answers for hit in hits
    )
