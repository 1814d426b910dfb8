"""Codes of vectors beside fixed binarisers and float quantisers at equal bytes.

    python -m benchmarks.vectors [--sets 20ng-minilm] [--bits 64,128,256] [--seeds 3] [--write-docs]

The share of a query's ten nearest database vectors (cosine) among the first ten, and among the
first ten of 50 re-scored with the floats; ties count by their expected value. Everything learns on
the database split. Results are appended to a JSON lines file, so an interrupted run goes on where
it stopped; `--write-docs` puts the tables into docs/vectors.md.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter
from typing import Any

from benchmarks import environment
from benchmarks.page_sections import write_section
from benchmarks.result_lines import read, record

ROOT = Path(__file__).resolve().parents[1]
SETS = ("20ng-minilm", "20ng-lsa", "fmnist-pixels")
_QUERIES = 2000


def main() -> None:
    arguments = _arguments()
    environment.set_threads(arguments.threads)
    done = read(arguments.results)
    for name in filter(None, arguments.sets.split(",")):
        _measure_set(name, [int(b) for b in arguments.bits.split(",")], arguments, done)
    if arguments.write_docs:
        page = ROOT / "docs" / "vectors.md"
        tables = _tables(list(read(arguments.results).values()))
        write_section(page, "vectors", tables)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="20ng-minilm")
    parser.add_argument("--bits", default="64,128,256")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--coders", help="only these, by name  [default: all]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "vectors.jsonl")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


def _measure_set(
    name: str, lengths: list[int], arguments: argparse.Namespace, done: dict[tuple[Any, ...], Any]
) -> None:
    import torch

    from benchmarks.vector_controls import CONTROLS

    torch.set_num_threads(arguments.threads)
    wanted = [
        (name, coder, n_bits, seed)
        for seed in range(arguments.seeds)
        for n_bits in lengths
        for coder in (*CONTROLS, "hashret")
        if arguments.coders is None or coder in arguments.coders.split(",")
    ]
    if all(key in done for key in wanted):
        return
    dataset = _vectors(name, arguments.datasets)
    for key in wanted:
        if key in done:
            continue
        began = perf_counter()
        if key[1] == "hashret":
            figures = _measure_hashret(dataset, key[2], key[3])
        else:
            figures = _measure_control(dataset, CONTROLS[key[1]], key[2], key[3])
        figures["seconds"] = perf_counter() - began
        record(arguments.results, done, key, figures)


def _vectors(name: str, root: Path | None) -> Any:
    """A dataset of vectors; texts as LSA and images as pixels are vectors too."""
    from dataclasses import replace

    import numpy as np

    from benchmarks import datasets

    root = root or datasets.default_root()
    if name == "20ng-lsa":
        dataset = datasets.load("20ng", root)
        dataset = replace(dataset, payloads=_lsa(dataset))
    elif name == "fmnist-pixels":
        dataset = datasets.load("fmnist", root)
        pixels = np.asarray(dataset.payloads, np.float32).reshape(len(dataset.payloads), -1)
        dataset = replace(dataset, payloads=pixels)
    else:
        dataset = datasets.load(name, root)
    return replace(dataset, kind="vector", queries=dataset.queries[:_QUERIES])


def _lsa(dataset: Any) -> Any:
    """256 latent dimensions of tf-idf, not normalised, learned on the database."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    tfidf = TfidfVectorizer(sublinear_tf=True, max_features=10_000, min_df=2)
    texts = [str(text) for text in dataset.payloads]
    fitted = tfidf.fit([texts[row] for row in dataset.database]).transform(texts)
    latent = TruncatedSVD(256, random_state=0).fit(fitted[dataset.database])
    vectors = latent.transform(fitted).astype("float32")
    vectors[~vectors.any(axis=1), 0] = 1e-6  # a post without a known word points somewhere
    return vectors


def _measure_control(dataset: Any, coder: Any, n_bits: int, seed: int) -> dict[str, float]:
    import numpy as np

    from benchmarks.scoring import Judge

    vectors = np.asarray(dataset.payloads, np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    judge, figures = Judge.of(dataset), {}
    ranked = coder(unit[dataset.database], unit[dataset.queries], n_bits, seed)
    for order, distances in ranked.items():
        figures |= {f"{order}: {m}": v for m, v in judge.score(distances).items()}
    return figures


def _measure_hashret(dataset: Any, n_bits: int, seed: int) -> dict[str, float]:
    from benchmarks.features import featurize
    from benchmarks.scoring import Judge, asymmetric_distances
    from hashret.codes import Codes
    from indexer.training import TrainingOptions, train

    features, judge = featurize(dataset), Judge.of(dataset)
    encoder, _ = train(
        features.training, "vector", TrainingOptions(n_bits=n_bits, seed=seed, device="cpu")
    )
    stored = encoder.encode(features.database)
    logits = encoder.logits(features.queries)
    confidences = encoder.confidences(features.queries, logits)
    by_distance = judge.score_codes(Codes.pack(logits > 0), stored)
    asymmetric = judge.score(asymmetric_distances(stored, confidences))
    figures = {f"by distance: {m}": v for m, v in by_distance.items()}
    return figures | {f"asymmetric: {m}": v for m, v in asymmetric.items()}


def _tables(rows: list[dict[str, Any]]) -> str:
    """A table a set: coders and orders down, lengths across; recall@10, then of 50 re-scored."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        name, coder, n_bits, _ = row["key"]
        figures = row["figures"]
        for order in sorted({m.partition(": ")[0] for m in figures if ": " in m}, reverse=True):
            pair = (figures[f"{order}: recall@10"], figures[f"{order}: recall@10 of 50"])
            found[name][coder, order][n_bits].append(pair)
    parts = []
    for name in sorted(found, key=lambda name: SETS.index(name) if name in SETS else 99):
        table = found[name]
        lengths = sorted({n for by_bits in table.values() for n in by_bits})
        parts += [f"### {name}", "", f"| coder | order | {' | '.join(map(str, lengths))} |"]
        parts.append("|---|---|" + "---|" * len(lengths))
        for (coder, order), by_bits in table.items():
            cells = [_cell(by_bits[n]) for n in lengths]
            parts.append(f"| {coder} | {order} | {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


def _cell(pairs: list[tuple[float, float]]) -> str:
    if not pairs:
        return ""
    texts = []
    for values in zip(*pairs, strict=True):
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        texts.append(f"{mean(values):.3f}{spread}")
    return ", ".join(texts)


if __name__ == "__main__":
    main()
