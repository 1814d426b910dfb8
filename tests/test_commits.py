"""An earlier commit, by its number: all of it, as long as it is there."""

import copy
import json
import pickle
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from hashret import Collection, Item
from hashret.errors import CollectionError
from hashret.store.catalog import leases
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.catalogs import copied
from tests.corpora import topic_items

pytestmark = pytest.mark.usefixtures("each_catalog")
needs_leases = pytest.mark.skipif(
    not leases.AVAILABLE, reason="only Linux has locks of open files, which tell who reads"
)


def contents(collection):
    return (
        collection.commit,
        [(one.id, one.metadata, one.code, one.text) for one in collection.items()],
        collection.codes.packed.tolist(),
        [(hit.id, hit.distance, hit.text) for hit in collection.query("the old ship", k=9)],
        [one.id for one in collection.items(where="topic == 'sea'")],
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory, each_catalog):
    """A collection of five commits, one of which learns anew, and what each held."""
    path = tmp_path_factory.mktemp("commits") / "c"
    items = topic_items(60)
    held = {}

    def note():
        with Collection.open(path) as now:
            held[now.commit] = contents(now)

    with Indexer(path, "text") as indexer:
        indexer.fit(items, TrainingOptions(n_bits=16, preset="dense", device="cpu"))
        indexer.add(items[:50])
        indexer.commit()
        note()
        indexer.remove([items[4].id, items[9].id])
        indexer.commit()
        note()
        indexer.add([*items[50:], Item(items[2].id, "the star and the orbit", {"topic": "sea"})])
        indexer.commit()
        note()
        indexer.fit(items, TrainingOptions(n_bits=8, preset="dense", device="cpu"))
        indexer.add(items)
        indexer.commit()
        note()
        indexer.remove(items[0].id)
        indexer.commit()
        note()
    return path, held


@pytest.fixture
def path(made, tmp_path):
    return copied(made[0], tmp_path / "c")


def test_every_commit_can_be_opened(made):
    path, held = made
    assert list(held) == [1, 2, 3, 4, 5]
    for number, wanted in held.items():
        with Collection.open(path, commit=number) as collection:
            assert contents(collection) == wanted
            assert collection.info()["commit"] == number


@pytest.mark.parametrize("number", [0, 6, -1, 2**48 + 1, 2**70])
def test_a_commit_that_is_not_there(made, number):
    with pytest.raises(CollectionError, match=f"expected a commit .*got {number}; leave it out"):
        Collection.open(made[0], commit=number)


@pytest.mark.parametrize("number", [1.0, "1", True])
def test_a_commit_is_a_whole_number(made, number):
    with pytest.raises(TypeError, match="commit: expected a whole number"):
        Collection.open(made[0], commit=number)


def test_refresh_moves_to_the_last_and_copies_are_of_the_same_commit(made):
    path, held = made
    with Collection.open(path, commit=2) as collection:
        copies = [copy.copy(collection), pickle.loads(pickle.dumps(collection))]  # noqa: S301
        for again in copies:
            with again:
                assert contents(again) == held[2]
        assert collection.refresh()
        assert contents(collection) == held[5]
        assert not collection.refresh()
        with copy.copy(collection) as again:
            assert again.commit == 5


@needs_leases
def test_compaction_leaves_what_somebody_has_open(made, path, each_catalog):
    if each_catalog == "postgresql":
        with Indexer(path) as indexer:
            assert indexer.compact().oldest is None
        with Collection.open(path, commit=1) as collection:
            assert contents(collection) == made[1][1]
        return
    with Collection.open(path, commit=3) as collection:
        with Indexer(path) as indexer:
            assert indexer.compact().oldest == 3
        assert contents(collection) == made[1][3]
        for number in (3, 4, 5):
            with Collection.open(path, commit=number) as again:
                assert contents(again) == made[1][number]
        for number in (1, 2):
            with pytest.raises(CollectionError, match="compacted away"):
                Collection.open(path, commit=number)
    with Indexer(path) as indexer:
        last = indexer.compact().commit.commit
    for number in range(1, last):
        with pytest.raises(CollectionError, match=f"up to {last} .*got {number}"):
            Collection.open(path, commit=number)
    with Collection.open(path, commit=last) as collection:
        assert contents(collection)[1:] == made[1][5][1:]


OPENS = """
import sys
from hashret import Collection
from hashret.errors import CollectionError
opened = gone = 0
while not gone:
    try:
        with Collection.open(sys.argv[1], commit=2) as collection:
            found = [(one.id, one.text) for one in collection.items()]
            assert len(found) == 48 and all(text for _, text in found), len(found)
            assert len(collection.query("the old ship", k=9)) == 9
            opened += 1
            if opened == 1:
                print("ready", flush=True)
    except CollectionError as error:
        assert "compacted away" in str(error), error
        gone += 1
print(opened)
"""


@needs_leases
def test_a_commit_that_another_process_prunes_is_whole_or_gone(path, each_catalog):
    if each_catalog == "postgresql":
        return  # nothing is pruned there
    reader = subprocess.Popen(
        [sys.executable, "-c", OPENS, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout.readline() == "ready\n"
    for _ in range(200):
        with Indexer(path) as indexer:
            if indexer.compact().oldest > 2:
                break
    out, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0
    assert int(out) >= 1


def test_the_command_line_reads_earlier_commits(made, tmp_path):
    path, held = made

    def run(*arguments):
        done = CliRunner().invoke(main, [str(one) for one in arguments])
        assert done.exit_code == 0, done.output
        return done.stdout.splitlines()

    ids = [one[0] for one in held[1][1]]
    assert run("list", path, "--commit", 1) == ids
    assert json.loads(run("get", path, ids[0], "--commit", 1, "--json")[0])["id"] == ids[0]
    assert json.loads(run("info", path, "--commit", 2, "--json")[0])["n_items"] == 48
    for number, wanted in held.items():
        hits = run(
            "query", path, "the old ship", "-k", 9, "--rerank", 0, "--json", "--commit", number
        )
        assert [json.loads(hit)["id"] for hit in hits] == [one[0] for one in wanted[3]]
    assert len(run("similar", path, ids[0], "-k", 3, "--json", "--commit", 3)) == 3
    run("export", path, "-o", tmp_path / "e.jsonl", "--commit", 1, "--order", "ids")
    lines = (tmp_path / "e.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids
    gone = CliRunner().invoke(main, ["list", str(path), "--commit", "9"])
    assert gone.exit_code == 1
    assert "expected a commit up to 5" in gone.stderr


def test_threads_open_any_commit(made):
    path, held = made
    wrong = []

    def ask(start):
        for i in range(start, start + 5):
            number = 1 + i % 5
            with Collection.open(path, commit=number) as collection:
                if contents(collection) != held[number]:
                    wrong.append(number)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
