"""Reading texts into a collection: tokenising and counting, encoding, and all of it end to end.

    python -m benchmarks.ingest [--parts counting encoding whole] [--documents 1000000]
                                [--workers 1 2] [--datasets FOLDER]

**Counting**, against scikit-learn's `CountVectorizer` on the ASCII posts of 20 Newsgroups, one
core, process CPU time, both with the same fixed vocabulary, so that both do the same: text to a
matrix of counts. Two comparisons, in both of which the two matrices must be equal, number by
number:

- *posts as they are*: a `CountVectorizer` told hashret's rules for ASCII, by a pattern (letters
  and digits, at least two characters and at most 64, no number of more than four digits) and a
  preprocessor (lower case, apostrophes dropped);
- *words set apart by spaces*: the terms of the posts joined by spaces, on which
  `CountVectorizer()` as it is, with its own pattern and preprocessing, finds the same terms. This
  is its home ground: nothing is there to be dropped.

**Encoding**, against the same network as a dense float32 forward pass in torch, one thread: sparse
features to logits, the peer given its dense matrix for free, by batches of 1,024. The networks are
as those of texts, 10000-500-64 with latent coordinates and normalised layers, and with one layer
more, 10000-500-500-64; on posts
(about 113 words of the vocabulary each) and on short texts.

**End to end**: short documents cut from the posts, by a seeded draw, as one JSONL file, indexed
into a collection that has a model: reading, tokenising, encoding, features kept, catalog, commit.
Each number of workers is a process of its own; what the collections say must be the same. Seconds,
those of a core and the peak of memory are the writer's own, without the other workers'. Then a
tenth of the documents is removed and the collection compacted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from benchmarks import environment

environment.set_threads(1)

import numpy as np  # noqa: E402

from benchmarks.datasets import default_root, load  # noqa: E402
from hashret.features.texts.featurizer import TextFeaturizer  # noqa: E402
from hashret.features.texts.tokens_former import is_term, words  # noqa: E402
from hashret.sparse import SparseRows  # noqa: E402
from hashret.specs import TextSpec  # noqa: E402
from indexer.training.networks.autoencoder import Autoencoder  # noqa: E402
from indexer.training.networks.bottleneck import LogitMoments  # noqa: E402
from indexer.training.networks.dense import dense_autoencoder, export  # noqa: E402
from indexer.training.presets import PRESETS  # noqa: E402

_PARTS = ("counting", "encoding", "whole")
_TURNS = 5
_BITS, _INPUT_SCALE = 64, 10.0
_BATCH = 1024
_MARKS = (100_000, 500_000, 1_000_000)
# hashret's terms in ASCII text, as a pattern
_TERM = r"(?<![a-z0-9])(?!\d{5,}(?![a-z0-9]))[a-z0-9]{2,64}(?![a-z0-9])"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures ingestion; prints Markdown tables.")
    parser.add_argument("--datasets", type=Path, default=default_root())
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    arguments = parser.parse_args()
    dataset = load("20ng", arguments.datasets)
    posts = [str(text) for text in dataset.part(dataset.database) if str(text).strip()]
    print(f"Measured on: {environment.describe()}\n")
    if "counting" in arguments.parts:
        report_counting([post for post in posts if post.isascii()])
    if "encoding" in arguments.parts:
        report_encoding(posts)
    if "whole" in arguments.parts:
        with tempfile.TemporaryDirectory() as folder:
            report_whole(posts, Path(folder), arguments.documents, arguments.workers)


def medians(jobs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median CPU seconds of each job over turns in which all of them run."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(_TURNS):
        for name, job in jobs.items():
            began = process_time()
            job()
            seconds[name].append(process_time() - began)
    return {name: median(times) for name, times in seconds.items()}


def report_counting(posts: list[str]) -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    # scikit-learn's pattern can say what a word was by the former rule, so both count the same then
    ours = TextFeaturizer.fit(posts, TextSpec(rule=1))
    newer = TextFeaturizer.fit(posts, TextSpec())
    told = CountVectorizer(
        vocabulary=ours.vocabulary,
        preprocessor=lambda text: text.lower().replace("'", ""),
        token_pattern=_TERM,
    )
    joined = [" ".join(word for word in words(post) if is_term(word)) for post in posts]
    print("| counting | scikit-learn, docs/s | hashret, docs/s | times |\n|---|---:|---:|---:|")
    cases = (
        ("posts as they are", told, posts),
        ("words set apart by spaces", CountVectorizer(vocabulary=ours.vocabulary), joined),
    )
    for name, theirs, texts in cases:
        require_equal_counts(ours, theirs, texts)
        jobs = {"theirs": lambda v=theirs, t=texts: v.transform(t)}
        jobs["ours"] = lambda t=texts: [ours.counts(part) for part in parts(t)]
        jobs["by today's rule"] = lambda t=texts: [newer.counts(part) for part in parts(t)]
        seconds = medians(jobs)
        theirs_rate = len(texts) / seconds.pop("theirs")
        for which, each in seconds.items():
            rate = len(texts) / each
            about = name if which == "ours" else f"{name}, {which}"
            print(f"| {about} | {theirs_rate:,.0f} | {rate:,.0f} | {rate / theirs_rate:.2f} |")
    print()


def parts(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in batches, as an indexer gives them."""
    for start in range(0, len(texts), _BATCH):
        yield texts[start : start + _BATCH]


def require_equal_counts(ours: TextFeaturizer, theirs: Any, texts: list[str]) -> None:
    from scipy.sparse import csr_array

    rows, columns, counts = ours.counts(texts)
    mine = csr_array((counts, (rows, columns)), shape=(len(texts), ours.n_features))
    if (mine != theirs.transform(texts)).nnz:
        raise SystemExit("counting: expected the same matrix of both, got two")


def report_encoding(posts: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    featurizer = TextFeaturizer.fit(posts, TextSpec())
    short = [" ".join(post.split()[:30]) for post in posts]
    print("| network | words a text | torch dense float32, docs/s | hashret, docs/s | times |")
    print("|---|---:|---:|---:|---:|")
    for hidden in ((500,), (500, 500)):
        network = random_network(featurizer.n_features, hidden)
        as_is = LogitMoments(np.zeros(_BITS), np.ones(_BITS))
        encoder = export(network, as_is, _INPUT_SCALE, 1.0)
        for texts in (posts, short):
            features = featurizer.transform(texts[: 8 * _BATCH])
            dense = [torch.from_numpy(rows.to_dense()) for rows in tiles(features)]
            jobs = {"theirs": lambda d=dense, n=network: [forward(rows, n) for rows in d]}
            jobs["ours"] = lambda e=encoder, f=features: [e.logits(rows) for rows in tiles(f)]
            require_near(jobs["theirs"](), jobs["ours"]())
            seconds = medians(jobs)
            rates = [len(features) / seconds["theirs"], len(features) / seconds["ours"]]
            shape = "-".join(map(str, (featurizer.n_features, *hidden, _BITS)))
            print(
                f"| {shape} | {features.nnz_per_row.mean():.0f} | {rates[0]:,.0f} "
                f"| {rates[1]:,.0f} | {rates[1] / rates[0]:.2f} |"
            )
    print()


def random_network(n_features: int, hidden: tuple[int, ...]) -> Autoencoder:
    """Untrained, but as texts have it: what a product takes does not depend on what was learned."""
    import torch

    generator = torch.Generator().manual_seed(0)
    recipe: Any = PRESETS["text"]["dense"].recipe
    trunk = recipe.trunk
    directions = torch.randn(n_features, trunk.n_latent, generator=generator)
    return dense_autoencoder(
        n_features, hidden, _BITS, generator, normalised=trunk.normalised, latent=directions
    )


def tiles(features: SparseRows) -> list[SparseRows]:
    return [features.rows(start, start + _BATCH) for start in range(0, len(features), _BATCH)]


def forward(rows: Any, network: Autoencoder) -> Any:
    import torch

    with torch.inference_mode():
        return network.raw_logits(_INPUT_SCALE * rows)


def require_near(theirs: list[Any], ours: list[np.ndarray]) -> None:
    far = np.abs(np.concatenate([t.numpy() for t in theirs]) - np.concatenate(ours)).max()
    if far > 1e-2:
        raise SystemExit(f"encoding: expected about the same logits of both, got {far} apart")


def report_whole(posts: list[str], folder: Path, n: int, workers: list[int]) -> None:
    make_base(posts, folder / "base")
    write_short(posts, n, folder / "short.jsonl")
    print("| workers | documents | seconds | of a core | docs/s | docs/s of a core | peak, MiB |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    said = []
    for count in workers:
        shutil.copytree(folder / "base", folder / f"c{count}")
        command = [sys.executable, "-m", "benchmarks.ingest_run", str(folder / f"c{count}")]
        command += [str(folder / "short.jsonl"), str(count), ",".join(map(str, _MARKS))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said.append(json.loads(done.stdout))
        for mark in said[-1]["marks"]:
            n_done, wall, cpu = mark["documents"], mark["seconds"], mark["cpu"]
            print(
                f"| {count} | {n_done:,} | {wall:.1f} | {cpu:.1f} | {n_done / wall:,.0f} "
                f"| {n_done / cpu:,.0f} | {mark['bytes'] / 2**20:.0f} |",
                flush=True,
            )
    if len({one["digest"] for one in said}) > 1:
        raise SystemExit("workers: expected the same collection by any number, got others")
    print("\n| workers | " + " | ".join(said[0]["stages"]) + " |")
    print("|---:|" + "---:|" * len(said[0]["stages"]))
    for count, one in zip(workers, said, strict=True):
        print(f"| {count} | " + " | ".join(f"{s:.1f}" for s in one["stages"].values()) + " |")
    print("\n| compacted, seconds | segments | rows dropped | MiB before | after |")
    print("|---:|---:|---:|---:|---:|")
    compacted = said[0]["compacted"]
    sizes = [size / 2**20 for size in compacted["size"]]
    print(
        f"| {compacted['seconds']:.1f} | {' to '.join(map(str, compacted['segments']))} "
        f"| {compacted['dropped']:,} | {sizes[0]:.0f} | {sizes[1]:.0f} |"
    )


def make_base(posts: list[str], path: Path) -> None:
    """A collection with a model of the default shape, hardly trained: that costs no time."""
    from hashret import Item
    from indexer import Indexer, TrainingOptions

    items = [Item(f"post {i}", post) for i, post in enumerate(posts[:4000])]
    with Indexer(path, "text") as indexer:
        indexer.fit(items, TrainingOptions(epochs=1, rounds=1, neighbours=1))
        indexer.add(items[:1])
        indexer.commit()


def write_short(posts: list[str], n: int, path: Path) -> None:
    """n documents of 10 to 50 words in a row of some post, the same in every run, as JSONL."""
    rng = np.random.default_rng(0)
    split = [words for post in posts if len(words := post.split()) >= 60]
    which, lengths = rng.integers(0, len(split), n), rng.integers(10, 51, n)
    starts = rng.random(n)
    with path.open("w", encoding="utf-8") as lines:
        for i in range(n):
            words = split[which[i]]
            start = int(starts[i] * (len(words) - lengths[i]))
            text = " ".join(words[start : start + lengths[i]])
            lines.write(json.dumps({"id": f"d{i:07}", "text": text, "year": 1990 + i % 30}) + "\n")


if __name__ == "__main__":
    main()
