"""What every writing command keeps to: it waits when told to, and SQLite is never let write a log."""

import sqlite3
import time

import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.errors import DamagedError
from hashret.store.catalog.opening import open_catalog
from hashret.store.layout import Layout
from hashret.store.lock import writer_lock
from indexer.cli import main
from tests.torture.bases import items_of, make

WRITING = ("index", "remove", "repair", "retrain", "compact", "demo")


@pytest.mark.parametrize("command", WRITING)
def test_every_writing_command_can_be_told_to_wait(command):
    assert "wait" in {parameter.name for parameter in main.commands[command].params}


def test_every_command_that_can_be_told_to_wait_is_known_here():
    waiting = {
        name
        for name, command in main.commands.items()
        if any(parameter.name == "wait" for parameter in command.params)
    }
    assert waiting == set(WRITING)


@pytest.mark.parametrize("command", ["remove", "repair", "compact"])
def test_a_held_collection_is_waited_for_and_then_refused(tmp_path, command):
    path = make(tmp_path / "c", "vector", 20)
    arguments = {"remove": [items_of("vector", 1)[0].id], "repair": ["--apply"]}.get(command, [])
    with writer_lock(Layout.find(path)):
        before = time.monotonic()
        done = CliRunner().invoke(main, [command, str(path), *arguments, "--wait", "0.3"])
        assert done.exit_code == 1
        assert "expected no other writer" in done.output
        assert time.monotonic() - before >= 0.3
    assert CliRunner().invoke(main, [command, str(path), *arguments]).exit_code == 0


def test_a_writer_keeps_a_rollback_journal_and_syncs_more_than_fully(tmp_path):
    """The write-ahead log of SQLite 3.7.0 to 3.51.2 can lose data: it is used with none."""
    path = make(tmp_path / "c", "vector", 20)
    with writer_lock(Layout.find(path)), open_catalog(Layout.find(path), write=True) as catalog:
        connection = catalog.connection
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3  # EXTRA
    header = (path / "catalog.sqlite").read_bytes()[:20]
    assert header[18:20] == b"\x01\x01", "the versions of a file without a write-ahead log"
    assert not list(path.glob("catalog.sqlite-*"))


def test_a_catalog_that_was_given_a_write_ahead_log_is_refused(tmp_path):
    path = make(tmp_path / "c", "vector", 20)
    connection = sqlite3.connect(path / "catalog.sqlite")
    assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    connection.execute("UPDATE meta SET value = value")
    connection.commit()
    connection.close()
    with pytest.raises(DamagedError, match="rollback journal"):
        Collection.open(path)
