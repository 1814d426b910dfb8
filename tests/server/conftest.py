"""One small collection of each kind, made once, and clients that ask an app in this process."""

from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from starlette.testclient import TestClient

from hashret import Collection, Item
from hashret.server.app import create_app
from hashret.server.guard import Limits
from indexer import Indexer, TrainingOptions
from tests.corpora import clustered_vectors, topic_items


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with the collections texts, vectors and images."""
    folder = tmp_path_factory.mktemp("served")
    texts = [Item(f"notes/{one.id}", one.payload, one.metadata) for one in topic_items(80)]
    vectors = [Item(str(i), vector) for i, vector in enumerate(clustered_vectors(60))]
    rng = np.random.default_rng(0)
    images = [Item(str(i), rng.integers(0, 255, (16, 16), np.uint8)) for i in range(12)]
    options = TrainingOptions(n_bits=16, preset="dense", epochs=1, device="cpu")
    made = (("text", texts, options), ("vector", vectors, TrainingOptions(n_bits=16)))
    for kind, items, how in (*made, ("image", images, options)):
        with Indexer(folder / f"{kind}s", kind) as indexer:
            indexer.fit(items, how)
            indexer.add(items)
            indexer.commit()
    return folder


@contextmanager
def asking(folder, *names, limits=None, raises=True, **how):
    """A client of an app that serves the collections of these names."""
    with ExitStack() as stack:
        served = {name: stack.enter_context(Collection.open(folder / name)) for name in names}
        app = create_app(served, limits or Limits(), **how)
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=raises)
        yield stack.enter_context(client)


@pytest.fixture(scope="module")
def client(folder):
    with asking(folder, "texts") as client:
        yield client


@pytest.fixture(scope="module")
def three(folder):
    with asking(folder, "texts", "vectors", "images") as client:
        yield client
