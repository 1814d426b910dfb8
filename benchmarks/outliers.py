"""How well are items of a class that a collection has not seen told from those of its own?

    python -m benchmarks.outliers [--sets SET,...] [--datasets FOLDER] [--write-docs]

A class is an outlier, or, for fmnist, all but one are: "one class against the others", ten runs.
Everything is learned from items of the database without outliers (at most 6,000, drawn with seed
0), and scores items that it was not learned from: all queries of fmnist; of 20ng 1,000 queries and
at most 600 posts of the hidden group, which is every second one. The measure is the area under the
ROC curve; labels choose what is an outlier, and nothing else.

"hashret" is the error of `Collection.outliers` (`hashret.outliers.usual`). The peers are those of
scikit-learn, on its usual input: pixels, tf-idf, the vectors. PCA with 8 components is one of equal
size, where each takes a byte of a 64-bit code, and with 64 one of equal numbers; of texts it is
taken of tf-idf uncentred (truncated SVD), and the isolation forest has the 64 coordinates. "10th
neighbour, hashret's features" is the distance to the 10th neighbour in what hashret compares. Each
run is a line of the results, which are gone on from; `--write-docs` puts the means into
docs/family.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from benchmarks import environment
from benchmarks.page_sections import write_section

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.datasets import Dataset
    from benchmarks.result_lines import Key

ROOT = Path(__file__).resolve().parent.parent
_MOST, _OTHERS, _HIDDEN, _BLOCK = 6_000, 1_000, 600, 512
_SETS = {"fmnist": range(10), "20ng-stripped": range(0, 20, 2), "20ng-minilm": range(0, 20, 2)}
_ROWS = ["hashret", "PCA 8", "PCA 64", "isolation forest", "10th neighbour"]
_ROWS += ["one-class SVM", "10th neighbour, hashret's features"]

Scores = dict[str, "np.ndarray"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(_SETS))
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "outliers.jsonl")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    environment.set_threads(1)
    from benchmarks import datasets
    from benchmarks.result_lines import read, record

    done = read(arguments.results)
    for name in filter(None, arguments.sets.split(",")):
        runs = [(name, number) for number in _SETS[name]]
        left = [key for key in runs if key not in done]
        dataset = (
            datasets.load(name, arguments.datasets or datasets.default_root()) if left else None
        )
        for key in left:
            assert dataset is not None  # noqa: S101
            record(arguments.results, done, key, _measured(dataset, key[1]))
    if arguments.write_docs:
        _write_docs(done)


def _measured(dataset: Dataset, number: int) -> dict[str, float]:
    """The area under the curve of each method, with class `number` inside or hidden."""
    from sklearn.metrics import roc_auc_score

    inside = dataset.labels == number
    if dataset.kind != "image":
        inside = ~inside
    learned, asked = _split(dataset, inside)
    scores = {"text": _texts, "image": _images, "vector": _vectors}[dataset.kind](
        dataset.part(learned), dataset.part(asked)
    )
    return {name: float(roc_auc_score(~inside[asked], each)) for name, each in scores.items()}


def _split(dataset: Dataset, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows to learn from, which are all inside, and those that are asked about."""
    import numpy as np

    rng = np.random.default_rng(0)
    usable = inside & _has_content(dataset)
    learned = rng.permutation(dataset.database[usable[dataset.database]])[:_MOST]
    if dataset.kind == "image":
        return learned, dataset.queries
    others = dataset.queries[usable[dataset.queries]]
    outside = np.flatnonzero(~inside & _has_content(dataset))
    parts = rng.permutation(others)[:_OTHERS], rng.permutation(outside)[:_HIDDEN]
    return learned, np.concatenate(parts)


def _has_content(dataset: Dataset) -> np.ndarray:
    """Of texts those with five words; of vectors those of such texts are all there are."""
    import numpy as np

    if dataset.kind != "text":
        return np.ones(len(dataset.labels), bool)
    return np.array([len(str(text).split()) >= 5 for text in dataset.payloads])


def _texts(learned: list[Any], asked: list[Any]) -> Scores:
    import numpy as np
    from sklearn.decomposition import TruncatedSVD

    from hashret.features.texts.featurizer import TextFeaturizer
    from hashret.outliers.views import Sight
    from hashret.sparse import known, take_rows, to_scipy
    from hashret.specs import TextSpec

    featurizer = TextFeaturizer.fit(learned, TextSpec())
    usual, new = featurizer.transform(learned), featurizer.transform(asked)
    usual = usual.take(np.flatnonzero(known(usual)))
    scores = _ours(lambda few: Sight(few), usual, new, take_rows)
    rows, others = to_scipy(usual), to_scipy(new)
    for n in (8, 64):
        svd = TruncatedSVD(n, random_state=0).fit(rows)
        scores[f"PCA {n}"] = 1.0 - np.square(svd.transform(others)).sum(axis=1)
    coordinates = svd.transform(rows), svd.transform(others)
    scores |= _forest(*coordinates) | _support(*coordinates)
    cosines = (others @ rows.T).toarray()
    return scores | {"10th neighbour": -np.partition(cosines, -10, axis=1)[:, -10]}


def _images(learned: list[Any], asked: list[Any]) -> Scores:
    import numpy as np

    from hashret.outliers.views import Sight
    from hashret.sparse import take_rows
    from indexer.training.patch_dictionary import learn_patches

    shape = (*learned[0].shape, 1)
    pixels, others = (np.stack(part).reshape(len(part), -1) for part in (learned, asked))
    centre, scale = pixels.mean(axis=0), pixels.std()
    pixels, others = (((part - centre) / scale).astype(np.float32) for part in (pixels, others))
    layer = learn_patches(pixels, shape, np.random.default_rng(0))
    sight = lambda few: Sight(few, lambda rows: layer.features(rows)[:, : layer.n_responses])  # noqa: E731
    return _ours(sight, pixels, others, take_rows) | _peers(pixels, others)


def _vectors(learned: list[Any], asked: list[Any]) -> Scores:
    import numpy as np

    from hashret.features.vector import VectorFeaturizer
    from hashret.outliers.views import Sight
    from hashret.sparse import take_rows
    from hashret.specs import VectorSpec

    featurizer = VectorFeaturizer.fit(learned, VectorSpec(n_features=len(learned[0])))
    usual, new = featurizer.transform(learned), featurizer.transform(asked)
    return _ours(lambda few: Sight(few), usual, new, take_rows) | _peers(
        *map(np.stack, (learned, asked))
    )


def _ours(sight_of: Callable[[Any], Any], usual: Any, new: Any, take: Callable[..., Any]) -> Scores:
    """The errors as `Collection.outliers` has them, and the 10th neighbour in the same views."""
    import numpy as np

    from hashret.outliers.judging import MOST_USUAL
    from hashret.outliers.usual import Usual

    usual = take(usual, np.arange(min(len(usual), MOST_USUAL)))
    sight = sight_of(usual)
    views = sight.views(usual)
    judge, errors, tenth = Usual(views), [], []
    for start in range(0, len(new), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(new)))
        seen = sight.views(take(new, rows))
        errors.append(judge.errors(seen, np.full(len(rows), -1)))
        distances = seen[-1].distances(views[-1])
        tenth.append(np.partition(distances, 9, axis=1)[:, 9])
    return {
        "hashret": np.concatenate(errors),
        "10th neighbour, hashret's features": np.concatenate(tenth),
    }


def _peers(usual: np.ndarray, new: np.ndarray) -> Scores:
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    scores = {}
    for n in (8, 64):
        pca = PCA(n, random_state=0).fit(usual)
        back = pca.inverse_transform(pca.transform(new))
        scores[f"PCA {n}"] = np.square(new - back).sum(axis=1)
    nearest = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(usual)
    scores["10th neighbour"] = nearest.kneighbors(new)[0][:, -1]
    return scores | _forest(usual, new) | _support(usual, new)


def _forest(usual: np.ndarray, new: np.ndarray) -> Scores:
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, random_state=0).fit(usual)
    return {"isolation forest": -forest.score_samples(new)}


def _support(usual: np.ndarray, new: np.ndarray) -> Scores:
    """A one-class SVM of at most 2,000 items, since its time grows as their square."""
    from sklearn.svm import OneClassSVM

    machine = OneClassSVM(nu=0.1, gamma="scale").fit(usual[:2_000])
    return {"one-class SVM": -machine.decision_function(new)}


def _write_docs(done: dict[Key, dict[str, Any]]) -> None:
    of = {
        name: [one["figures"] for key, one in done.items() if key[0] == name and key[1] in runs]
        for name, runs in _SETS.items()
    }
    heads = [f"{name}, {len(found)} runs" for name, found in of.items()]
    lines = [f"| | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for row in _ROWS:
        cells = []
        for figures in of.values():
            found = [one[row] for one in figures]
            cells.append(f"{mean(found):.3f} ({min(found):.3f})" if found else "")
        lines.append(f"| {row} | {' | '.join(cells)} |")
    page = ROOT / "docs" / "family.md"
    write_section(page, "outliers", "\n".join(lines))


if __name__ == "__main__":
    main()
