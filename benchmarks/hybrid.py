"""Questions by words and codes beside codes alone, words alone, and their own tf-idf.

    python -m benchmarks.hybrid [--parts cranfield subjects small time] [--seeds 3]
                                [--sizes 50 200 1000] [--keep FOLDER] [--datasets FOLDER]

* **cranfield**: nDCG@10 of 225 questions to 1,398 abstracts.
* **subjects**: the subject lines of 500 posts of 20 Newsgroups as questions to all of them, without
  their headers, footers and quotes: how often the post itself is among 10 hits, and posts of the
  same group among 10 (P@10), the post itself left out.
* **small**: so many posts, and 400 others that ask: P@10 by the group; as they are, and by their
  subject lines.
* **time**: milliseconds of processor time of a question to the collection of *subjects*, in one
  process that is warm; what reading all words takes, and the size of what is kept.

Codes have 64 bits and are learned without labels, of each seed anew; *small* draws other posts for
each. All orders are those of the public API. --keep names a folder for the collections, which are
then used again.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from time import process_time
from typing import Any

from benchmarks import environment

environment.set_threads(1)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks import datasets  # noqa: E402
from benchmarks.judged import Judge  # noqa: E402
from hashret import Collection, Item  # noqa: E402
from indexer import Indexer, TrainingOptions  # noqa: E402

_PARTS = ("cranfield", "subjects", "small", "time")
_SUBJECT = re.compile(r"^Subject:[ \t]*(?:(?:re|fwd?)\s*:\s*)*(.*)$", re.MULTILINE | re.IGNORECASE)
_ASKED, _HELD_OUT = 500, 400  # questions of *subjects*, of *small*
_K = 10
_EVERYTHING = 1 << 30

#: What each order is called, and how it is asked for.
_ORDERS: dict[str, dict[str, Any]] = {
    "codes": {},
    "words and codes": {"hybrid": True},
    "100 nearest, by words": {"rerank": 100, "rerank_by": "words"},
    "100 nearest, by features": {"rerank": 100, "rerank_by": "features"},
    "words alone": {"rerank_by": "words"},
    "codes and features": {"rerank_by": "both"},
    "own tf-idf": {"rerank_by": "features"},
}

Scorer = Callable[[Sequence[Sequence[str]]], dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 200, 1000])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--datasets", type=Path, default=datasets.default_root())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    measured = {"cranfield": _cranfield, "subjects": _subjects, "small": _small, "time": _time}
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CACHE_HOME"] = temporary
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        for part in arguments.parts:
            measured[part](arguments, folder)


def _cranfield(arguments: argparse.Namespace, folder: Path) -> None:
    data = datasets.load_cranfield(arguments.datasets)
    items = [Item(name, text) for name, text in data.texts.items() if text.strip()]
    place = {item.id: row for row, item in enumerate(items)}
    judge = Judge(data, [item.id for item in items])

    def score(answers: Sequence[Sequence[str]]) -> dict[str, float]:
        distances = np.full((len(answers), len(items)), np.inf)
        for row, ids in enumerate(answers):
            distances[row, [place[one] for one in ids]] = range(len(ids))
        return {"nDCG@10": judge.ndcg(distances)}

    found = []
    for seed in range(arguments.seeds):
        with _collection(folder / f"cranfield-{seed}", items, seed) as collection:
            found.append(_scores(collection, list(data.queries.values()), score))
    _print("cranfield", found)


def _subjects(arguments: argparse.Namespace, folder: Path) -> None:
    posts = _posts(arguments.datasets)
    asked = [posts[row] for row in np.random.default_rng(0).permutation(len(posts))]
    asked = [one for one in asked if one.metadata["subject"]][:_ASKED]
    groups = {post.id: post.metadata["group"] for post in posts}

    def score(answers: Sequence[Sequence[str]]) -> dict[str, float]:
        itself = mean(one.id in ids[:_K] for one, ids in zip(asked, answers, strict=True))
        others = [
            [groups[other] == groups[one.id] for other in ids if other != one.id][:_K]
            for one, ids in zip(asked, answers, strict=True)
        ]
        return {"itself among 10": itself, "P@10": mean(sum(ids) / _K for ids in others)}

    with _collection(folder / "posts", posts, 0) as collection:
        lines = [one.metadata["subject"] for one in asked]
        _print("subjects", [_scores(collection, lines, score, k=_K + 1)])


def _small(arguments: argparse.Namespace, folder: Path) -> None:
    posts = _posts(arguments.datasets)
    groups = {post.id: post.metadata["group"] for post in posts}
    for size in arguments.sizes:
        found = []
        for seed in range(arguments.seeds):
            order = np.random.default_rng(seed).permutation(len(posts))
            items = [posts[row] for row in order[:size]]
            asked = [posts[row] for row in order[size:]]
            asked = [one for one in asked if one.metadata["subject"]][:_HELD_OUT]

            def score(answers: Sequence[Sequence[str]], asked: list[Item] = asked) -> Any:
                hits = zip(asked, answers, strict=True)
                alike = [sum(groups[o] == groups[one.id] for o in ids[:_K]) for one, ids in hits]
                return {"P@10": mean(alike) / _K}

            with _collection(folder / f"small-{size}-{seed}", items, seed) as collection:
                as_they_are = _scores(collection, [one.payload for one in asked], score)
                by_subject = _scores(collection, [one.metadata["subject"] for one in asked], score)
            found.append(
                {
                    name: {
                        "P@10 of posts": as_they_are[name]["P@10"],
                        "of subjects": by_subject[name]["P@10"],
                    }
                    for name in _ORDERS
                }
            )
        _print(f"{size} posts", found)


def _time(arguments: argparse.Namespace, folder: Path) -> None:
    posts = _posts(arguments.datasets)
    lines = [post.metadata["subject"] for post in posts[::60] if post.metadata["subject"]][:300]
    with _collection(folder / "posts", posts, 0) as collection:
        for name, how in list(_ORDERS.items())[:4]:
            begin = process_time()
            collection.query(lines[0], k=_K, **how)
            first = process_time() - begin
            seconds = []
            for line in lines:
                begin = process_time()
                collection.query(line, k=_K, **how)
                seconds.append(process_time() - begin)
            print(f"{name:26} first {1e3 * first:8.1f} ms, median {1e3 * median(seconds):6.2f} ms")
    kept = Path(os.environ["XDG_CACHE_HOME"]) / "hashret" / "arrays"
    size = sum(file.stat().st_size for file in kept.rglob("*") if file.is_file())
    print(f"kept words: {size / 1e6:.1f} MB")
    with Collection.open(folder / "posts") as again:
        begin = process_time()
        again.query(lines[0], k=_K, hybrid=True)
        print(f"first question of the next process: {1e3 * (process_time() - begin):.1f} ms")


def _posts(root: Path) -> list[Item]:
    """The posts that stripping leaves something of, with group and subject as metadata."""
    whole, stripped = datasets.load("20ng", root), datasets.load("20ng-stripped", root)
    items = []
    texts = zip(whole.payloads, stripped.payloads, whole.labels.tolist(), strict=True)
    for row, (text, rest, group) in enumerate(texts):
        found = _SUBJECT.search(text)
        if rest.strip():
            subject = found[1].strip() if found else ""
            items.append(Item(str(row), rest, {"group": group, "subject": subject}))
    return items


def _collection(path: Path, items: list[Item], seed: int) -> Collection:
    if not path.exists():
        with Indexer(path, "text") as indexer:
            indexer.fit(items, TrainingOptions(n_bits=64, seed=seed))
            indexer.add(items)
            indexer.commit()
    return Collection.open(path)


def _scores(
    collection: Collection, questions: list[Any], score: Scorer, k: int = _K
) -> dict[str, dict[str, float]]:
    """The score of each order."""
    found = {}
    for name, how in _ORDERS.items():
        if "rerank_by" in how:
            how = how | {"rerank": min(how.get("rerank", _EVERYTHING), len(collection))}
        answers = collection.query(questions, k=k, **how)
        found[name] = score([[hit.id for hit in hits] for hits in answers])
    return found


def _print(title: str, found: list[dict[str, dict[str, float]]]) -> None:
    """A table of orders and measures: the mean over the seeds, and the lowest and the highest."""
    measures = list(found[0]["codes"])
    print(f"\n| {title} | {' | '.join(measures)} |\n|---|{'---|' * len(measures)}")
    for name in _ORDERS:
        cells = []
        for measure in measures:
            values = [one[name][measure] for one in found]
            spread = f" ({min(values):.3f}-{max(values):.3f})" if len(values) > 1 else ""
            cells.append(f"{mean(values):.3f}{spread}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
