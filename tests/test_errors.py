"""What a user can meet is an error of hashret's, or a wrong call's, with a sentence of ours."""

import errno
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hashret import Collection, HashretError
from hashret.errors import CollectionError, StorageError
from hashret.store.disk.files import write_file
from hashret.store.disk.refusals import plainly, sqlite_error
from hashret.workers import pool
from indexer import Indexer, TrainingOptions
from tests.store.test_replaced import ITEMS, VECTORS, made

V = VECTORS[3]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return made(tmp_path_factory.mktemp("errors") / "c", ITEMS)


class Odd:
    def __repr__(self):
        raise RuntimeError("not shown")


NONE, TEXT, PART, ODD, EMPTY, LESS = None, "3", 2.5, Odd(), [], -1
WRONG = {"None": NONE, "text": TEXT, "2.5": PART, "object": ODD, "[]": EMPTY, "-1": LESS}


def but(*fine):
    return [value for value in WRONG.values() if not any(value is one for one in fine)]


ASKED = {
    "query": (lambda c, w: c.query(w), but(EMPTY)),
    "query k": (lambda c, w: c.query(V, w), but()),
    "query asymmetric": (lambda c, w: c.query(V, asymmetric=w), but()),
    "query probes": (lambda c, w: c.query(V, probes=w), but(NONE)),
    "query rerank": (lambda c, w: c.query(V, rerank=w), but(NONE)),
    "query where": (lambda c, w: c.query(V, where=w), but(NONE)),
    "query index": (lambda c, w: c.query(V, index=w), but(NONE)),
    "within": (lambda c, w: c.within(w), but(EMPTY)),
    "within radius": (lambda c, w: c.within(V, w), but()),
    "within where": (lambda c, w: c.within(V, where=w), but(NONE)),
    "bucket": (lambda c, w: c.bucket(w), but(EMPTY)),
    "similar": (lambda c, w: c.similar(w), but(EMPTY, TEXT)),
    "similar k": (lambda c, w: c.similar("5", w), but()),
    "similar include_self": (lambda c, w: c.similar("5", include_self=w), but()),
    "similar rerank": (lambda c, w: c.similar("5", rerank=w), but(NONE)),
    "similar index": (lambda c, w: c.similar("5", index=w), but(NONE)),
    "similar_within": (lambda c, w: c.similar_within(w), but(EMPTY, TEXT)),
    "similar_within radius": (lambda c, w: c.similar_within("5", w), but()),
    "get": (lambda c, w: c.get(w), but(EMPTY, TEXT)),
    "in": (lambda c, w: w in c, but(TEXT, LESS)),
    "find": (lambda c, w: c.find(w), but(TEXT, EMPTY, LESS)),
    "column": (lambda c, w: c.column(w), but(TEXT)),
    "features": (lambda c, w: c.features(w), but(EMPTY)),
    "items where": (lambda c, w: list(c.items(where=w)), but(NONE)),
    "open": (lambda c, w: Collection.open(w), but()),
    "open commit": (lambda c, w: Collection.open("nowhere", commit=w), but(NONE)),
    "open index": (lambda c, w: Collection.open("nowhere", index=w), but()),
}


def is_ours(error):
    pythons = re.match(r"'\w+' object|argument of type|unhashable|can't|cannot|int\(\)", str(error))
    fine = isinstance(error, HashretError) or type(error) in (ValueError, TypeError)
    return fine and not pythons and "expected" in str(error)


def raised(call):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which is what is looked at
        call()
    return caught.value


@pytest.mark.parametrize("name", ASKED)
def test_a_question_with_an_argument_of_another_type(base, name):
    ask, wrong = ASKED[name]
    with Collection.open(base) as collection:
        for value in wrong:
            error = raised(lambda value=value: ask(collection, value))
            assert is_ours(error), f"{error!r}"
        assert collection.query(V, k=1)[0].id == "3"


OPTIONS = {
    "kind": but(NONE),
    "catalog": but(NONE),
    "wait_seconds": but(PART),
    "store_features": but(NONE),
    "store_text": but(NONE),
    "store_images": but(NONE),
    "workers": but(NONE),
    "resume": but(),
    "on_progress": but(),
    "on_skipped": but(NONE),
    "on_note": but(),
}
WRITTEN = {
    "fit": (lambda i, w: i.fit(w), but(NONE)),
    "fit options": (lambda i, w: i.fit(ITEMS, w), but(NONE)),
    "fit spec": (lambda i, w: i.fit(ITEMS, spec=w), but(NONE)),
    "fit max_items": (lambda i, w: i.fit(ITEMS, max_items=w), but()),
    "add": (lambda i, w: i.add(w), but(EMPTY)),
    "add total": (lambda i, w: i.add([], total=w), but(NONE, LESS)),
    "remove": (lambda i, w: i.remove(w), but(EMPTY, TEXT)),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_indexer_with_an_option_of_another_type(base, tmp_path, name):
    place = shutil.copytree(base, tmp_path / "c")
    for value in OPTIONS[name]:
        error = raised(lambda value=value: Indexer(place, **{"workers": 1, name: value}))
        assert is_ours(error), f"{error!r}"


def test_an_indexer_with_an_argument_of_another_type(base, tmp_path):
    place = shutil.copytree(base, tmp_path / "c")
    for call, wrong in WRITTEN.values():
        with Indexer(place, workers=1) as indexer:
            for value in wrong:
                error = raised(partial(call, indexer, value))
                assert is_ours(error), f"{error!r}"
    with Collection.open(place) as collection:
        assert (collection.commit, len(collection)) == (1, len(ITEMS))


@pytest.mark.parametrize("field", TrainingOptions.__dataclass_fields__)
def test_a_training_option_of_another_type(field):
    fine = {"device": [TEXT], "preset": [NONE, TEXT], "label": [NONE, TEXT]}
    fine |= {name: [NONE] for name in ("epochs", "neighbours", "rounds", "invariant")}
    for value in but(*fine.get(field, [])):
        error = raised(lambda value=value: TrainingOptions(**{field: value}))
        assert is_ours(error), f"{error!r}"


def test_what_is_closed_says_so(base, tmp_path):
    with Collection.open(base) as collection:
        pass
    collection.close()  # again
    for call in (
        lambda: collection.query(V),
        lambda: collection.query([]),
        lambda: collection.within(V),
        lambda: collection.similar("5"),
        lambda: collection.get("5"),
        lambda: list(collection.items()),
        lambda: "5" in collection,
        lambda: collection.codes,
        lambda: collection.features(np.arange(2)),
        lambda: collection.info(),
        collection.refresh,
    ):
        with pytest.raises(CollectionError, match="closed"):
            call()
    indexer = Indexer(shutil.copytree(base, tmp_path / "c"), workers=1)
    indexer.close()
    indexer.close()
    for call in (
        lambda: indexer.fit(ITEMS),
        lambda: indexer.add(ITEMS),
        lambda: indexer.remove("5"),
        indexer.prune,
        indexer.commit,
        indexer.compact,
    ):
        with pytest.raises(CollectionError, match="closed"):
            call()


LIMITED = """
import resource, signal, sys
import numpy as np
from hashret import Collection, HashretError, Item
from indexer import Indexer
path, which, limit = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(getattr(resource, which), (int(limit), int(limit)))
try:
    with Indexer(path, workers=1) as indexer:
        vectors = np.random.default_rng(0).normal(size=(5000, 24))
        indexer.add(Item(f"x{i}", v) for i, v in enumerate(vectors))
        indexer.commit()
    opened = [Collection.open(path) for _ in range(100)]
    print("no error")
except HashretError as error:
    print(isinstance(error, OSError), "expected" in str(error), "; " in str(error))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits")
@pytest.mark.parametrize(
    ("which", "limit"),
    [*(("RLIMIT_FSIZE", n) for n in (4_000, 20_000, 90_000)), ("RLIMIT_NOFILE", 60)],
)
def test_what_the_system_refuses_is_said_and_the_old_state_stays(base, tmp_path, which, limit):
    place = shutil.copytree(base, tmp_path / "c")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, place, which, str(limit)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout == "True True True\n", done.stderr
    with Collection.open(place) as collection:
        assert collection.query(V, k=1)[0].id == "3"


def as_nobody(call):
    """The error of `call` in a child that is another user."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.setgid(65534)
        os.setuid(65534)
        try:
            answer = call()
        except Exception as error:
            answer = error
        with os.fdopen(write, "wb") as stream:
            pickle.dump(answer, stream)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        found = pickle.load(stream)  # noqa: S301 - what this test wrote
    os.waitpid(pid, 0)
    return found


needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be another user"
)


@pytest.fixture
def readable(base, tmp_path):
    """A copy that another user can reach and read, and not write."""
    place = shutil.copytree(base, tmp_path / "c")
    top = Path(tempfile.gettempdir()).resolve()
    for folder in (tmp_path, *tmp_path.parents):
        if top in folder.parents:
            folder.chmod(0o755)
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return place


@needs_root
def test_another_users_collection_is_read_and_not_written(readable):
    found = as_nobody(lambda: [hit.id for hit in Collection.open(readable).query(V, k=1)])
    assert found == ["3"]
    error = as_nobody(lambda: Indexer(readable, workers=1))
    assert isinstance(error, StorageError)
    assert error.errno == errno.EACCES
    assert "no permission" in str(error)


@needs_root
@pytest.mark.parametrize(
    "name",
    [
        *("", "catalog.sqlite", "segments", "models", "models/m000001/model.json"),
        "segments/c000001-000000000000.arrow",
    ],
)
def test_what_another_user_may_not_read_is_said(readable, name):
    (readable / name).chmod(0)  # as an umask of 077 leaves it
    error = as_nobody(lambda: Collection.open(readable).query(V, k=1))
    assert isinstance(error, HashretError), f"{error!r}"
    assert "permission" in str(error)


@needs_root
def test_what_a_killed_writer_left_in_a_folder_that_can_only_be_read(readable):
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size=1'); c.execute('BEGIN IMMEDIATE')\n"
        'c.execute("UPDATE segments SET files = hex(randomblob(100000))")\n'
        "os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", script, readable / "catalog.sqlite"], check=False)
    (readable / "catalog.sqlite-journal").chmod(0o644)
    error = as_nobody(lambda: Collection.open(readable).query(V, k=1))
    assert isinstance(error, StorageError), f"{error!r}"
    assert "left half done" in str(error)
    with Collection.open(readable) as collection:  # who may write rolls it back
        assert collection.query(V, k=1)[0].id == "3"


@pytest.mark.parametrize(
    "number", [None, errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE, 9999]
)
def test_a_storage_error_keeps_its_number_and_is_an_os_error(tmp_path, number):
    def call():
        with plainly(tmp_path, "write"):
            raise OSError(number, "words of the system") if number else OSError("words")

    with pytest.raises(OSError, match="expected to write it") as caught:
        call()
    error = caught.value
    assert isinstance(error, CollectionError)
    assert error.errno == number
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), again.errno) == (str(error), error.errno)
    assert isinstance(sqlite_error(tmp_path, None), StorageError)


def test_a_file_in_place_of_a_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="expected to write it"):
        write_file(tmp_path / "file" / "below", [b""])


def test_workers_need_an_interpreter_and_do_without(monkeypatch, tmp_path):
    assert pool.interpreter() == sys.executable
    monkeypatch.setattr(sys, "executable", str(tmp_path / "photo-editor"))
    found = pool.interpreter()
    assert found is not None
    assert Path(found).name.startswith("python")
    for where in ("prefix", "base_prefix"):
        monkeypatch.setattr(sys, where, str(tmp_path))
    assert pool.interpreter() is None
    monkeypatch.setattr(sys, "executable", None)
    assert pool.interpreter() is None


def test_an_interpreter_that_vanished_is_said(monkeypatch):
    monkeypatch.setattr(pool, "_INTERPRETER", "/nowhere/python3")
    with (
        pool.Workers("tests.workers.tasks:echo") as workers,
        pytest.raises(HashretError, match="expected a process of /nowhere/python3"),
    ):
        list(workers.map([["a"]]))
