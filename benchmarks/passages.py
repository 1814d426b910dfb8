"""Passages against whole documents: is the document that holds a post the first hit, or among ten?

    python -m benchmarks.passages [--datasets FOLDER] [--posts 4000] [--words 200] [--bits 64]
        [--by-group]

A document is 20 posts of 20 Newsgroups without their headers, in random order, or with --by-group
of one newsgroup (but where two meet), as a real one has one subject. A question is the
subject of a post, if no other post has it, or the first sentence of its text; the document that
holds the post is the right one. Codes are learned on the documents, or on their passages, by the
default preset. Prints the rows of a Markdown table.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from benchmarks import environment

_POSTS = 20  # posts of a document
_QUESTIONS = 500
_FEWEST = 5  # words of a question
_ORDERS: dict[str, dict[str, Any]] = {
    "codes": {},
    "--asymmetric": {"asymmetric": True},
    "--rerank 100": {"rerank": 100},
    "--rerank 1000": {"rerank": 1000},
    "--hybrid": {"hybrid": True},
    "words alone": {"rerank": 1 << 20},  # of all items, whatever their codes
}
_SUBJECT = re.compile(r"^Subject: *(?:(?:re|fwd?) *: *)*(.+)$", re.IGNORECASE | re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--posts", type=int, default=4000)
    parser.add_argument("--words", type=int, default=200)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--by-group", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    environment.set_threads(arguments.threads)
    from benchmarks.datasets import default_root, load, strip_post

    data = load("20ng", arguments.datasets or default_root())
    pairs = list(zip(data.labels.tolist(), data.payloads, strict=True))
    Random(0).shuffle(pairs)
    pairs = [pair for pair in pairs if strip_post(pair[1]).strip()][: arguments.posts]
    if arguments.by_group:
        pairs.sort(key=lambda pair: pair[0])
    raw = [post for _, post in pairs]
    posts = [strip_post(one).strip() for one in raw]
    documents = ["\n\n".join(posts[i : i + _POSTS]) for i in range(0, len(posts), _POSTS)]
    questions = {"subject": _subjects(raw), "first sentence": _sentences(posts)}
    print(
        "| items | question | order | first | among 10 | trained in, s |\n|---|---|---|---|---|---|"
    )
    for words in (0, arguments.words):
        _measured(documents, questions, words, arguments.bits)
    print(f"\n{len(documents)} documents, {environment.describe()}")


def _subjects(raw: Sequence[str]) -> list[tuple[str, str]]:
    """Some subjects that one post alone has, with the id of the document that holds the post."""
    found = [match[1].strip() if (match := _SUBJECT.search(one)) else "" for one in raw]
    counts = Counter(one.casefold() for one in found)
    return _chosen([one if counts[one.casefold()] == 1 else "" for one in found])


def _sentences(posts: Sequence[str]) -> list[tuple[str, str]]:
    """The first sentences of some posts, with the ids of their documents."""
    from indexer.corpus.sentences import sentence_starts

    return _chosen([one[: next(sentence_starts(one), 300)][:300] for one in posts])


def _chosen(asked: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [(one, str(place // _POSTS)) for place, one in enumerate(asked)]
    pairs = [pair for pair in pairs if len(pair[0].split()) >= _FEWEST]
    return Random(1).sample(pairs, min(_QUESTIONS, len(pairs)))


def _measured(
    documents: Sequence[str],
    questions: dict[str, list[tuple[str, str]]],
    words: int,
    n_bits: int,
) -> None:
    """Index the documents, whole or in passages of so many words, ask, and print the rows."""
    from hashret import Collection, Item
    from indexer import Indexer, TrainingOptions

    items = [Item(str(i), text) for i, text in enumerate(documents)]
    with tempfile.TemporaryDirectory() as folder:
        with Indexer(f"{folder}/c", "text", passages=words) as indexer:
            began = perf_counter()
            indexer.fit(items, TrainingOptions(n_bits=n_bits))
            seconds = perf_counter() - began
            indexer.add(items)
            n_items = indexer.commit().n_items
        with Collection.open(f"{folder}/c") as collection:
            for name, pairs in questions.items():
                for order, how in _ORDERS.items():
                    group = "document" if words else None
                    texts = [text for text, _ in pairs]
                    found = collection.query(texts, k=10, group=group, **how)
                    ranked = [
                        [hit.metadata.get("document", hit.id) for hit in one] for one in found
                    ]
                    right = [wanted for _, wanted in pairs]
                    first = sum(one[:1] == [want] for one, want in zip(ranked, right, strict=True))
                    ten = sum(want in one for one, want in zip(ranked, right, strict=True))
                    kind = f"{n_items} passages of {words} words" if words else f"{n_items} whole"
                    shares = f"{first / len(pairs):.3f} | {ten / len(pairs):.3f}"
                    print(f"| {kind} | {name} | {order} | {shares} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
