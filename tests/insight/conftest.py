"""One small collection of texts, made once, some of whose items have no code."""

import pytest

from hashret import Collection, Item
from indexer import Indexer, TrainingOptions
from tests.corpora import topic_items

OPTIONS = TrainingOptions(n_bits=16, preset="dense", epochs=1, device="cpu")


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
