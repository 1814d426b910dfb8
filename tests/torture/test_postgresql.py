"""A server that dies, a client that dies, a wire that is cut: one commit or the other, never less."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from hashret import Collection, Item
from hashret.errors import CatalogServerError
from hashret.store.catalog.address import VARIABLE
from hashret.store.catalog.opening import open_catalog
from hashret.store.catalog.staging import Staging
from hashret.store.layout import Layout
from hashret.store.repair.verify import examine
from indexer import Indexer
from tests.cutting import CutWire
from tests.store.test_catalog import stage, visible, with_three
from tests.torture.bases import items_of, make
from tests.torture.scale import LONG, say

ROOT = Path(__file__).parents[2]
KILLS = 40 if LONG else 3


@pytest.fixture
def server(postgresql, monkeypatch):
    """The server, with its address in the variable."""
    monkeypatch.setenv(VARIABLE, postgresql.url)
    return postgresql


@pytest.fixture
def filled(tmp_path, server):
    return with_three(tmp_path / "c")


def newest(layout):
    """The last commit as a reader finds it, and what it shows; every byte is sound."""
    with open_catalog(layout) as catalog:
        commit = catalog.last_commit().commit
        found = visible(catalog, commit)
    assert examine(layout).is_sound
    return commit, found


def write(layout, text):
    """Replace b and d in one commit; returns its number."""
    with open_catalog(layout, write=True) as catalog:
        staging = Staging(catalog)
        try:
            assert staging.items.find(["b"]).keys() == {"b"}
            stage(layout, staging, ["b", "d"], text)
            return staging.finish("m1").commit
        finally:
            staging.abandon()


def write_through(wire, server, layout, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, server.url.replace(str(server.root), str(wire.folder)))
        return write(layout, text)


def test_a_wire_cut_at_any_message_leaves_one_commit_or_the_other(
    filled, server, tmp_path, monkeypatch
):
    """Messages of a writer are lost one by one, then the answers to them."""
    monkeypatch.setattr("hashret.store.catalog.postgresql._GRACE_SECONDS", 1.0)
    with CutWire(tmp_path / "whole", server.root) as wire:
        assert write_through(wire, server, filled, "whole") == 2
    commits = [n for n, message in enumerate(wire.messages, 1) if b"COMMIT" in message]
    chosen = range(1, len(wire.messages) + 1) if LONG else commits
    outcomes = Counter()
    reached, expected = newest(filled)
    for after in (False, True):
        for cut_at in chosen:
            text = f"{after}{cut_at}"
            with CutWire(tmp_path / text, server.root, cut_at, after) as wire:
                try:
                    told = write_through(wire, server, filled, text)
                except CatalogServerError as error:
                    told = None
                    if "whether commit" in str(error):
                        outcomes["unknown"] += 1
            assert wire.cut
            before, (reached, found) = reached, newest(filled)
            outcomes["told" if told else ("new" if reached > before else "old")] += 1
            assert reached in (before, before + 1)
            assert told in (None, reached)
            expected |= {"b": text, "d": text} if reached > before else {}
            assert found == expected
    # what was lost was the answer to the very commit once, or the commit itself
    assert outcomes["new"] == 1
    assert outcomes["unknown"] >= 2
    assert outcomes["old"] >= len(commits)
    say("PostgreSQL", f"a wire cut {2 * len(chosen)} times: {dict(outcomes)}, 0 bad")


COMMITTING = """
import sys
from tests.torture.test_postgresql import *
from hashret.store.catalog.postgresql import PostgresqlDatabase
layout = Layout.find(sys.argv[1])
PostgresqlDatabase._require_durable = {require_durable}
try:
    while True:
        with open_catalog(layout) as catalog:
            number = catalog.last_commit().commit + 1
        print(write(layout, str(number)), flush=True)
except CatalogServerError as error:
    print(error, file=sys.stderr)
    sys.exit(3)
"""
SOUND = "PostgresqlDatabase._require_durable"
FAULT = """lambda self, cursor: cursor.execute("SET synchronous_commit = off")"""


def killed_while_committing(layout, server, victim, seconds, require_durable=SOUND):
    """The commits that a writer told of before it or its server was killed, which runs again."""
    script = COMMITTING.format(require_durable=require_durable)
    command = [sys.executable, "-c", script, layout.root]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as writer:
        told = [int(writer.stdout.readline())]
        time.sleep(seconds)
        if victim == "server":
            server.kill()
        else:
            writer.kill()
        rest, complaint = writer.communicate(timeout=60)
    if victim == "server":
        assert writer.returncode == 3, complaint
        with pytest.raises(CatalogServerError, match="expected its catalog at postgresql"):
            open_catalog(layout)
        server.start()
    return [*told, *map(int, rest.split())]


@pytest.mark.parametrize("victim", ["server", "client"])
def test_a_kill_while_committing_leaves_one_commit_or_the_other(filled, server, victim):
    """SIGKILL of every process of the server, or of the writer, at a random moment."""
    moments = random.Random(0)
    outcomes = Counter()
    for _ in range(KILLS):
        told = killed_while_committing(filled, server, victim, moments.random() / 4)
        reached, found = newest(filled)
        assert reached in (told[-1], told[-1] + 1)
        assert found == dict.fromkeys("ac", "one") | dict.fromkeys("bd", str(reached))
        outcomes["not told" if reached > told[-1] else "told"] += 1
        assert write(filled, str(reached + 1)) == reached + 1  # the next writer is not in its way
    say("PostgreSQL", f"{KILLS} kills of the {victim} while committing: {dict(outcomes)}, 0 bad")


def test_commits_that_are_not_synced_would_be_missed(filled, server):
    """The fault is planted: sessions that do not wait for the disk."""
    for _ in range(20):
        told = killed_while_committing(filled, server, "server", 0.0, FAULT)
        if newest(filled)[0] < told[-1]:
            return
    pytest.fail("nothing was lost")


def test_a_reader_outlives_its_server(server, tmp_path):
    path = make(tmp_path / "c", "vector", 30)
    items = items_of("vector", 30)
    with Collection.open(path) as collection:
        before = collection.query(items[0].payload, k=5)
        server.kill()
        try:
            with pytest.raises(CatalogServerError):
                collection.refresh()
            assert collection.query(items[0].payload, k=5) == before  # from the folder's files
        finally:
            server.start()
        assert collection.query(items[0].payload, k=5) == before
        with Indexer(path) as indexer:
            indexer.add([Item("new", items[0].payload, {})])
            indexer.commit()
        assert collection.query(items[0].payload, k=5) == before
        assert collection.refresh()
        assert "new" in collection


def test_an_indexer_whose_server_died_gives_up_and_the_next_one_goes_on(server, tmp_path):
    path = make(tmp_path / "c", "vector", 30)
    items = items_of("vector", 30)
    new = [Item(f"new-{item.id}", item.payload, {}) for item in items]
    with Indexer(path) as indexer:
        indexer.add(new[:10])
        server.kill()
        server.start()
        # its lock went with its session: another writer may have come meanwhile
        for attempt in (lambda: indexer.add(new[10:]), indexer.commit):
            with pytest.raises(CatalogServerError, match="connection"):
                attempt()
    assert examine(Layout.find(path)).is_sound
    with Indexer(path) as indexer:
        assert indexer.add(new).added == 30
        indexer.commit()
    with Collection.open(path) as collection:
        assert len(collection) == 60


def test_a_first_commit_whose_server_died_leaves_nothing_in_the_way(server, tmp_path):
    path = tmp_path / "c"
    with Indexer(path, "vector") as indexer:
        server.kill()
        server.start()
        with pytest.raises(CatalogServerError):
            indexer.fit(items_of("vector", 20))
    make(path, "vector", 20)
    assert examine(Layout.find(path)).is_sound
