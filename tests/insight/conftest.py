"""Small collections, made quickly: what their codes say is of no matter here."""

import numpy as np
import pytest

from hashret import Collection, Item
from hashret.specs import VectorSpec
from indexer import Indexer, TrainingOptions
from indexer.training.presets import PRESETS
from tests.corpora import clustered_vectors, orders, series, topic_items
from tests.training.recipes import change_all

PACKED = "identity"
OPTIONS = TrainingOptions(n_bits=16, preset="dense", epochs=1, device="cpu")
EVERY = [(kind, preset) for kind, presets in PRESETS.items() for preset in presets]
#: Presets that differ from another only in how they learn: all tests try them, the quick ones not.
ALIKE = {"quick", "bernoulli", "rounded", "sparse", "denoising", "contractive", "recirculation"}
PARAMS = [pytest.param(one, marks=pytest.mark.long if one[1] in ALIKE else ()) for one in EVERY]


def pictures(n, side=16):
    """Grey pictures: a light blob somewhere on a dark ground that is not quite even."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    found = []
    for _ in range(n):
        down, across = rng.integers(2, side - 2, 2)
        blob = 200.0 * np.exp(-((y - down) ** 2 + (x - across) ** 2) / 8)
        found.append((blob + rng.integers(0, 50, (side, side))).astype(np.uint8))
    return found


def items_of(kind, preset, n=40):
    if kind == "text":
        return topic_items(n)
    if kind == "image":
        return [Item(f"{i}.png", picture) for i, picture in enumerate(pictures(n))]
    if kind == "sequence":
        rows = orders(n) if preset == "recursive" else series(n)
        return [Item(str(i), row) for i, row in enumerate(rows)]
    if preset == PACKED:
        rows = np.random.default_rng(0).integers(0, 256, (n, 4), np.uint8)
    else:
        rows = clustered_vectors(n)
    return [Item(str(i), row) for i, row in enumerate(rows)]


def made(path, kind, preset, items, spec=None, **keep):
    """Index the items with a few steps of training."""
    options = TrainingOptions(n_bits=32 if preset == PACKED else 16, preset=preset, device="cpu")
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, least_steps=2, epochs=1, pretrain_epochs=1, pair_steps=2)
        with Indexer(path, kind, **keep) as indexer:
            indexer.fit(items, options, spec=spec)
            indexer.add(items)
            indexer.commit()
    return path


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Where the collection of a kind and preset is, made when it is first asked for."""
    root = tmp_path_factory.mktemp("explained")

    def folder(kind, preset):
        path = root / f"{kind}-{preset}"
        if not path.exists():
            keep = {"image": {"store_images": True}, "vector": {"store_features": True}}
            spec = None
            if kind == "vector":
                packed = preset == PACKED
                spec = VectorSpec(packed=True) if packed else VectorSpec(metric="euclidean")
            made(path, kind, preset, items_of(kind, preset), spec, **keep.get(kind, {}))
        return path

    return folder


@pytest.fixture(scope="session", params=PARAMS, ids=lambda one: "-".join(one))
def any_kind(request, folders):
    """An open collection of every preset, and its items by id."""
    items = {one.id: one for one in items_of(*request.param)}
    with Collection.open(folders(*request.param)) as collection:
        yield collection, items


@pytest.fixture(scope="session")
def texts(folders):
    with Collection.open(folders("text", "dense")) as collection:
        yield collection


@pytest.fixture(scope="package")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("seen") / "topics.hashret"
    items = topic_items(120)
    with Indexer(path, "text") as indexer:
        indexer.fit(items, OPTIONS)
        indexer.add([*items, Item("strange-1", "xyzzy"), Item("strange-2", "plugh")])
        indexer.commit()
    return path


@pytest.fixture
def topics(path):
    with Collection.open(path) as collection:
        yield collection
