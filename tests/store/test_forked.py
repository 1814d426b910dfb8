"""What a forked child may do with its parent's collection: answer, and leave the parent its own."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
import time
from multiprocessing import get_context

import numpy as np
import pytest

from hashret import Collection, Item
from hashret.errors import CollectionError, LockedError
from hashret.store.catalog.leases import AVAILABLE, out_of_reach
from hashret.store.layout import Layout
from indexer import Indexer
from tests.store.test_replaced import ITEMS, VECTORS, made

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return made(tmp_path_factory.mktemp("forked") / "c", ITEMS)


@pytest.fixture
def place(base, tmp_path):
    return shutil.copytree(base, tmp_path / "c")


def in_child(call, seconds=60):
    """What `call` returns in a forked child; fails if that hangs."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            answer = call()
        except BaseException as error:
            answer = error
        with os.fdopen(write, "wb") as stream:
            pickle.dump(answer, stream)
        os._exit(0)
    os.close(write)
    end = time.monotonic() + seconds
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise AssertionError("the child hangs")
        time.sleep(0.01)
    with os.fdopen(read, "rb") as stream:
        return pickle.load(stream)  # noqa: S301 - what this test wrote


ASKED = {
    "query": lambda c: [hit.id for hit in c.query(VECTORS[3], k=5)],
    "rerank": lambda c: [hit.id for hit in c.query(VECTORS[3], k=5, rerank=20)],
    "faiss": lambda c: [[h.id for h in hits] for hits in c.query(VECTORS, k=3, index="faiss-flat")],
    "hnsw": lambda c: [[h.id for h in hits] for hits in c.query(VECTORS, k=3, index="faiss-hnsw")],
    "items": lambda c: [item.id for item in c.items(where="i < 9")],
}


@pytest.mark.parametrize("name", ASKED)
def test_a_child_answers_as_its_parent_did(base, name):
    ask = ASKED[name]
    with Collection.open(base) as collection:
        truth = ask(collection)
        assert in_child(lambda: ask(collection)) == truth
        assert in_child(lambda: (collection.close(), "closed")[1]) == "closed"
        assert ask(collection) == truth


def test_a_child_answers_where_faiss_has_threads(base, tmp_path):
    """OpenMP's threads, which the tests' own process has none of, do not survive a fork."""
    script = (
        "import os, sys, numpy as np\n"
        "from hashret import Collection\n"
        "c, v = Collection.open(sys.argv[1]), np.load(sys.argv[2])\n"
        "ask = lambda: [h.id for hits in c.query(v, k=5, index='faiss-flat') for h in hits]\n"
        "truth = ask()\n"
        "pid = os.fork()\n"
        "if not pid: os._exit(ask() != truth)\n"
        "print('child', os.waitpid(pid, 0)[1], 'parent', ask() == truth)\n"
    )
    np.save(tmp_path / "v.npy", VECTORS)
    done = subprocess.run(
        [sys.executable, "-c", script, base, tmp_path / "v.npy"],
        env=os.environ | {"OMP_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "child 0 parent True\n", done.stderr


@pytest.mark.skipif(not AVAILABLE, reason="needs Linux's locks")
def test_a_child_that_moves_or_closes_leaves_its_parents_lease(place):
    with Collection.open(place) as collection:
        with Indexer(place, workers=1) as indexer:
            indexer.remove("5")
            indexer.commit()

        def moves():
            moved = collection.refresh()
            collection.close()
            return moved

        assert in_child(moves) is True
        with out_of_reach(Layout.find(place), 1) as oldest:
            assert oldest == 1  # the parent reads it
        assert "5" in collection


def test_a_child_can_not_write_and_leaves_its_parents_lock(place):
    with Indexer(place, workers=1) as indexer:
        indexer.add([Item("more", VECTORS[7] * 2)])

        def tries():
            with indexer:
                indexer.commit()

        with pytest.raises(CollectionError, match="fork"):
            raise in_child(tries)
        with pytest.raises(LockedError):
            Indexer(place, workers=1)
        assert indexer.commit().n_items == len(ITEMS) + 1


def test_copies_and_pickles_open_the_folder_again(base):
    with Collection.open(base, index="table") as collection:
        truth = ASKED["rerank"](collection)
        for again in (
            copy.copy(collection),
            copy.deepcopy(collection),
            pickle.loads(pickle.dumps(collection)),  # noqa: S301
        ):
            with again:
                assert again.info()["index"] == "table"
            assert ASKED["rerank"](collection) == truth
        with get_context("spawn").Pool(1) as pool:
            assert pool.apply(asked_elsewhere, (collection,)) == truth
    with pytest.raises(CollectionError, match="closed"):
        pickle.dumps(collection)


def asked_elsewhere(collection):
    with collection:
        return ASKED["rerank"](collection)


def test_a_writer_is_not_copied(place):
    with Indexer(place, workers=1) as indexer, pytest.raises(TypeError, match="one writer"):
        copy.copy(indexer)
