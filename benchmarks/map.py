"""How true are maps of codes? Beside t-SNE of the 50 principal coordinates of the inputs.

    python -m benchmarks.map [--sets 20ng fmnist] [--items 5000] [--keep FOLDER] [--datasets FOLDER]

Each set is indexed with 64 bits, as a user would, and a seeded sample of its items is laid out
twice by the same t-SNE: by their real-valued codes, as `hashret map` does it, and by the 50
principal coordinates of their features (tf-idf of texts, pixels of images). Of each map:

* **itself**: trustworthiness@10 (scikit-learn's) in the space that was laid out: whether what is
  near on the map is near there.
* **inputs**: trustworthiness@10 in the 50 principal coordinates.
* **label**: the share of the 10 nearest on the map that have the item's label.
* **cpu s**: processor time of laying out, one thread.

--keep names a folder for the collections, which are then used again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from benchmarks import environment

environment.set_threads(1)

import numpy as np  # noqa: E402
from sklearn.decomposition import PCA, TruncatedSVD  # noqa: E402
from sklearn.manifold import trustworthiness  # noqa: E402
from sklearn.neighbors import NearestNeighbors  # noqa: E402

from benchmarks import datasets  # noqa: E402
from hashret import Collection, Item  # noqa: E402
from hashret.insight.code_map import real_valued_codes  # noqa: E402
from hashret.insight.tsne import tsne  # noqa: E402
from hashret.sparse import SparseRows, to_scipy  # noqa: E402
from indexer import Indexer, TrainingOptions  # noqa: E402

_COORDINATES, _NEAR = 50, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["20ng", "fmnist"])
    parser.add_argument("--items", type=int, default=5_000, help="items on each map")
    parser.add_argument("--most", type=int, default=20_000, help="items of each collection")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--datasets", type=Path, default=datasets.default_root())
    given = parser.parse_args()
    print(
        "| set | items | map of | itself | inputs | label | cpu s |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for name in given.sets:
            folder = (given.keep or Path(scratch)) / name
            data = datasets.load(name, given.datasets)
            if not folder.exists():
                index(data, folder, given.most)
            with Collection.open(folder) as collection:
                for row in measured(collection, data, given.items):
                    print(f"| {name} | {row} |", flush=True)


def index(data: datasets.Dataset, folder: Path, most: int) -> None:
    """A collection of the first items of a set, whose ids are their row numbers."""
    rows = np.arange(min(most, len(data.payloads)))
    items = [Item(str(row), data.payloads[row]) for row in rows.tolist()]
    with Indexer(folder, data.kind, store_images=True) as indexer:
        indexer.fit(items, TrainingOptions(n_bits=64, device="cpu"))
        indexer.add(items)
        indexer.commit()


def measured(collection: Collection, data: datasets.Dataset, n: int) -> Iterator[str]:
    """The figures of both maps."""
    rng = np.random.default_rng(0)
    positions = np.sort(rng.permutation(len(collection.codes))[:n])
    rows = np.array([int(one) for one in collection.ids(positions)])
    codes, real_valued = real_valued_codes(collection.snapshot, positions)
    features, _ = collection.coder.features(
        [collection.coder.prepare(data.payloads[row]) for row in rows.tolist()]
    )
    inputs = coordinates(features)
    name = "real-valued codes" if real_valued else "bits"
    for of, vectors in ((name, codes), ("50 coordinates of the inputs", inputs)):
        began = process_time()
        places = tsne(vectors, 0)
        seconds = process_time() - began
        itself = trustworthiness(vectors, places, n_neighbors=_NEAR)
        of_inputs = trustworthiness(inputs, places, n_neighbors=_NEAR)
        label = same_label(places, data.labels[rows])
        yield f"{len(rows):,} | {of} | {itself:.3f} | {of_inputs:.3f} | {label:.3f} | {seconds:.0f}"


def coordinates(features: SparseRows | np.ndarray) -> np.ndarray:
    """The principal coordinates of features, (n, 50) float32."""
    if isinstance(features, SparseRows):
        found = TruncatedSVD(_COORDINATES, random_state=0).fit_transform(to_scipy(features))
    else:
        found = PCA(_COORDINATES, random_state=0).fit_transform(features)
    return np.asarray(found, np.float32)


def same_label(places: np.ndarray, labels: np.ndarray) -> float:
    """The share of each item's nearest others on the map that have its label."""
    near = NearestNeighbors(n_neighbors=_NEAR).fit(places).kneighbors(return_distance=False)
    return float((labels[near] == labels[:, None]).mean())


if __name__ == "__main__":
    main()
