"""Codes of a trained model in any number: passages of 20 Newsgroups.

    python -m benchmarks.learned_codes [--n 1000000] [--bits 16,32,64,128,256,512]

A model is trained on the posts of the protocol's database with the default recipe. What is encoded
are passages, that is overlapping runs of 40 words (then 20, then 80, where 40 are not enough), as a
search engine would cut long documents: real text through a real model, and as skewed as that is.
Queries are passages of posts that the model and the database never saw. Written to a folder
(--folder, default one in the system's temporary folder) as LENGTH-codes.npy and LENGTH-queries.npy.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import environment

if TYPE_CHECKING:
    import numpy as np

LENGTHS = (16, 32, 64, 128, 256, 512)
_PASSAGES = (40, 20, 80)  # words
_QUERIES = 20_000
_BATCH = 8192


def default_folder() -> Path:
    """Where the codes are kept if nothing else is said."""
    return Path(tempfile.gettempdir()) / "hashret-learned-codes"


def load(folder: Path, n_bits: int, n: int) -> tuple[np.ndarray, np.ndarray] | None:
    """n codes and the queries, (rows, n_bits // 8) uint8 memory maps; None if not so many."""
    import numpy as np

    path = folder / f"{n_bits}-codes.npy"
    codes = np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else []
    if len(codes) < n:
        return None
    return codes[:n], np.load(folder / f"{n_bits}-queries.npy", allow_pickle=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--bits", default=",".join(map(str, LENGTHS)))
    parser.add_argument("--epochs", type=int, help="of fine-tuning, in place of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--folder", type=Path, default=default_folder())
    arguments = parser.parse_args()
    environment.set_threads(1)
    lengths = [int(part) for part in arguments.bits.split(",")]
    learn(arguments, lengths)


def learn(arguments: argparse.Namespace, lengths: Sequence[int]) -> None:
    import numpy as np
    import torch

    from benchmarks.datasets import default_root, load
    from hashret.features.texts.featurizer import TextFeaturizer
    from indexer.training import train_lengths
    from indexer.training.options import TrainingOptions

    torch.set_num_threads(1)
    posts = load("20ng", arguments.datasets or default_root())
    known = [posts.payloads[row] for row in posts.database]
    spec = TextFeaturizer.suggest_spec(known)
    prepared = [TextFeaturizer.prepare(text, spec) for text in known]
    featurizer = TextFeaturizer.fit(prepared, spec)
    options = TrainingOptions(seed=arguments.seed, device="cpu", epochs=arguments.epochs)
    trained = train_lengths(featurizer.transform(prepared), "text", options, lengths)
    encoders = {}
    for n_bits, (encoder, _) in zip(lengths, trained, strict=True):
        encoders[n_bits] = encoder
        print(f"trained {n_bits} bits", flush=True)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    unseen = [posts.payloads[row] for row in posts.queries]
    rng = np.random.default_rng(arguments.seed)
    for what, texts, n in (("queries", unseen, _QUERIES), ("codes", known, arguments.n)):
        found = encoded(featurizer, encoders, passages(texts, n))
        order = rng.permutation(len(next(iter(found.values()))))[:n]
        for n_bits, codes in found.items():
            np.save(arguments.folder / f"{n_bits}-{what}.npy", codes[order])
        print(f"{len(order):,} {what} written to {arguments.folder}", flush=True)


def passages(texts: Sequence[str], n: int) -> Iterator[str]:
    """At least n passages, spread over all texts, if there are so many."""
    words = [text.split() for text in texts]
    left = n
    for length in _PASSAGES:
        starts = sum(max(0, len(each) - length + 1) for each in words)
        stride = max(1, starts // left)
        for each in words:
            for start in range(0, len(each) - length + 1, stride):
                left -= 1
                yield " ".join(each[start : start + length])
        if left <= 0:
            return


def encoded(
    featurizer: Any, encoders: dict[int, Any], texts: Iterator[str]
) -> dict[int, np.ndarray]:
    """The codes of the texts that have a known word, by length; (n, n_bits // 8) uint8."""
    from itertools import islice

    import numpy as np

    from hashret.sparse import take_rows

    parts: dict[int, list[np.ndarray]] = {n_bits: [] for n_bits in encoders}
    while batch := list(islice(texts, _BATCH)):
        features = featurizer.transform([featurizer.prepare(t, featurizer.spec) for t in batch])
        features = take_rows(features, np.flatnonzero(features.nnz_per_row))
        for n_bits, encoder in encoders.items():
            parts[n_bits].append(encoder.encode(features).packed)
    return {n_bits: np.concatenate(codes) for n_bits, codes in parts.items()}


if __name__ == "__main__":
    main()
