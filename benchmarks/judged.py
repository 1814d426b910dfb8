"""Cranfield: nDCG@10 of codes, of shortlists ordered by features, and of the features.

Queries are a sentence long, and a code of so little text is coarse: the claim to check is that of
Salakhutdinov and Hinton (2009), that a shortlist by codes, ordered by tf-idf, is at least as good
as tf-idf over everything. Grades 1 (best) to 4 gain 4 to 1, any other nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

_GAINS = {1: 4, 2: 3, 3: 2, 4: 1}
_SHORTLIST = 100


def measure(
    bits: list[int],
    arguments: argparse.Namespace,
    done: dict[tuple[Any, ...], Any],
    record: Callable[..., None],
) -> None:
    """Record what is not yet among `done`; the arguments are those of `benchmarks.quality`."""
    from benchmarks import controls, datasets
    from hashret.codes import Codes, hamming
    from hashret.features.texts.featurizer import TextFeaturizer
    from indexer.training import TrainingOptions, train_lengths

    data = datasets.load_cranfield(arguments.datasets or datasets.default_root())
    ids = [name for name, text in data.texts.items() if text.strip()]
    texts = [data.texts[name] for name in ids]
    featurizer = TextFeaturizer.fit(texts, TextFeaturizer.suggest_spec(texts))
    database = featurizer.transform(texts)
    queries = featurizer.transform(list(data.queries.values()))
    judge = Judge(data, ids)
    cosine = controls.cosine_distances(queries, database)(slice(0, len(queries)))

    def save(coder: str, n_bits: int, seed: int, distances: np.ndarray) -> None:
        key = ("cranfield", coder, n_bits, seed, arguments.quick)
        if key not in done:
            record(arguments.results, done, key, {"nDCG@10": judge.ndcg(distances)})

    save("floats", 0, 0, cosine)
    for seed in range(arguments.seeds):
        lengths = []
        for n_bits in bits:
            for coder, codes in (("sign-LSH", controls.sign_lsh), ("ITQ", controls.itq)):
                if ("cranfield", coder, n_bits, seed, arguments.quick) not in done:
                    stored, asked = codes(database, queries, n_bits, seed)
                    save(coder, n_bits, seed, hamming(asked, stored).astype(float))
            if ("cranfield", "hashret, 100 by features", n_bits, seed, arguments.quick) not in done:
                lengths.append(n_bits)
        options = TrainingOptions(seed=seed)
        for encoder, _ in train_lengths(database, "text", options, lengths):
            logits, stored = encoder.logits(queries), encoder.encode(database)
            distances = hamming(Codes.pack(logits > 0), stored).astype(float)
            soft = 2.0 * encoder.confidences(queries, logits) - 1.0
            agreement = soft @ (2.0 * stored.bits - 1.0).T / encoder.n_bits
            ranked = distances - agreement / 4.0
            real = 2.0 * encoder.probabilities(encoder.logits(database)) - 1.0
            save("hashret", encoder.n_bits, seed, distances)
            save("hashret, then confidences", encoder.n_bits, seed, ranked)
            cosines = controls.cosine_distances(soft, real)(slice(0, len(soft)))
            save("hashret, real-valued", encoder.n_bits, seed, cosines)
            last = np.partition(ranked, _SHORTLIST - 1, axis=1)[:, _SHORTLIST - 1, None]
            again = np.where(ranked <= last, cosine, np.inf)
            save("hashret, 100 by features", encoder.n_bits, seed, again)


class Judge:
    """nDCG@10, expected over the orders of tied items (McSherry and Najork, ECIR 2008)."""

    def __init__(self, data: Any, ids: list[str]):
        place = {name: i for i, name in enumerate(ids)}
        self._gains = np.zeros((len(data.queries), len(ids)))
        self._ideal = np.zeros(len(data.queries))
        self._discounts = 1.0 / np.log2(np.arange(2, 12))
        rows = {name: i for i, name in enumerate(data.queries)}
        best: dict[int, list[int]] = {}
        for query, text, grade in data.judgements:
            gain = _GAINS.get(grade, 0)
            best.setdefault(rows[query], []).append(gain)
            if text in place:
                self._gains[rows[query], place[text]] = gain
        for row, gains in best.items():
            top = sorted(gains, reverse=True)[:10]
            self._ideal[row] = float(np.dot(top, self._discounts[: len(top)]))

    def ndcg(self, distances: np.ndarray) -> float:
        """The mean over the judged queries of (n_queries, n) distances; equal ones tie."""
        judged = np.flatnonzero(self._ideal)
        return float(np.mean([self._one(distances[row], row) / self._ideal[row] for row in judged]))

    def _one(self, distances: np.ndarray, row: int) -> float:
        order = np.argsort(distances, kind="stable")
        last = distances[order[9]]
        total, at = 0.0, 0
        for value in np.unique(distances[distances <= last]):
            tied = np.flatnonzero(distances == value)
            places = self._discounts[at : at + len(tied)]
            total += self._gains[row, tied].mean() * places.sum()
            at += len(tied)
        return total
