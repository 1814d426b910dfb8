"""Make a new SQLite catalog of the rows that are sound in a damaged one.

A catalog whose pages are damaged, whose file is cut or whose rows disagree with their checksums
still holds rows that agree with theirs. They are copied as they are into a new catalog. Which of
its commits is whole, the checksum over a commit's segments and removed rows says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine, exc
from sqlalchemy.pool import NullPool

from hashret.errors import DamagedError
from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.opening import open_catalog
from hashret.store.catalog.records import (
    FIXED,
    FOLDERS,
    LAST,
    checksum,
    commit_of,
    folders_of,
    model_of,
    removal_of,
    segment_of,
)
from hashret.store.catalog.sqlite_guard import restrain
from hashret.store.catalog.staging import Staging
from hashret.store.disk.damage import damaged
from hashret.store.disk.refusals import sqlite_error
from hashret.store.disk.untrusted import open_plain
from hashret.store.layout import Layout

_PAGE = 4096  # bytes; SQLite's own default, which hashret's catalogs have
Row = tuple[Any, ...]


@contextmanager
def salvaged(layout: Layout) -> Iterator[tuple[Catalog, int]]:
    """A catalog, open for writing in a folder of its own, of what is sound in a damaged one.

    And the number of the newest commit that there was, as far as the sound rows tell. Raises
    `DamagedError` where no commit can be read.
    """
    with TemporaryDirectory(prefix="hashret-") as name:
        folder = Path(name)
        rows, is_last = _readable_rows(layout, folder)
        newest = int(rows["commits"][0][0])
        if not is_last:  # the row of the last commit may be lost, and what it did be there
            did = [row[7] for row in rows["segments"]] + [row[1] for row in rows["removals"]]
            newest = max([newest, *(int(number) for number in did if type(number) is int)])
        made = Layout(folder / "salvaged")
        for part in (made.segments, made.models):
            part.mkdir(parents=True)
        try:
            _write(made.sqlite, rows)
        except exc.OperationalError as error:
            raise sqlite_error(made.sqlite, error.orig) from error
        with open_catalog(made, write=True) as catalog:
            yield catalog, newest


def ends_with_a_commit(catalog: Catalog) -> bool:
    """Whether a commit is whole; else one is made of what is left of the newest."""
    commits = catalog.commits()
    for commit in commits:
        with suppress(DamagedError):
            catalog.segments_of(commit)
            return True
    Staging(catalog).finish(commits[0].model or "")
    return False


def _readable_rows(layout: Layout, folder: Path) -> tuple[dict[str, list[Row]], bool]:
    """As `_sound_rows`, if need be without the damaged first page; there is a commit."""
    with open_plain(layout.sqlite) as stream:
        data = stream.read()
    for n, given in enumerate((data, _with_first_page(data, folder))):
        copy = folder / f"damaged-{n}"
        copy.write_bytes(given)
        found = _sound_rows(layout, copy)
        if found[0]["commits"]:
            return found
    raise damaged(layout.sqlite, "a commit that can be read", "none")


def _with_first_page(data: bytes, folder: Path) -> bytes:
    """The file with the header and the schema of a new catalog: hashret's never differ."""
    new = folder / "new.sqlite"
    _write(new, {})
    first = bytearray(new.read_bytes()[:_PAGE])
    first[28:32] = (len(data) // _PAGE).to_bytes(4, "big")  # pages
    first[32:40] = bytes(8)  # no list of free pages
    return bytes(first) + data[_PAGE:]


def _sound_rows(layout: Layout, path: Path) -> tuple[dict[str, list[Row]], bool]:
    """The rows of each table that are as hashret writes them, the newest commit first.

    And whether that is known to be the last one.
    """
    reads: dict[str, Callable[[Row], object]] = {
        "models": lambda row: model_of(layout, row),
        "commits": commit_of,
        "segments": lambda row: segment_of(layout, row, 0),
        "removals": lambda row: removal_of(layout, row),
    }
    found: dict[str, list[Row]] = {table: [] for table in ("meta", *reads)}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        # a text that is not UTF-8 is damage of its row alone
        connection.text_factory = lambda text: text.decode("utf-8", "replace")
        with suppress(sqlite3.DatabaseError):
            restrain(connection)
            for table, read in reads.items():
                for row in _rows(connection, table):
                    with suppress(DamagedError):  # a stranger may have signed any
                        read(row)
                        found[table].append(row)
            facts = dict(row for row in _rows(connection, "meta") if len(row) == 2)
            known = facts.get("format"), facts.get("kind")
            if facts.get(FIXED) != str(checksum(*known)) or known[0] != str(t.FORMAT_VERSION):
                found["commits"] = []  # of what kind the items are is not known
            found["commits"].sort(reverse=True)
            last = str(found["commits"][0][-1]) if found["commits"] else ""
            if FOLDERS in facts and folders_of(facts[FOLDERS]) is None:
                del facts[FOLDERS]
            found["meta"] = list((facts | {LAST: last}).items())
            return found, facts.get(LAST) == last
    return found, False


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[Row]:
    """The rows of a table that can be read: those before a damaged page and those behind it."""
    n_columns = len(t.metadata.tables[table].columns)
    for order in ("ASC", "DESC"):
        query = f'SELECT * FROM "{table}" NOT INDEXED ORDER BY rowid {order}'  # noqa: S608 - ours
        try:
            for row in connection.execute(query):
                if len(row) == n_columns:
                    yield row
            return
        except sqlite3.DatabaseError:
            continue


def _write(path: Path, rows: Mapping[str, list[Row]]) -> None:
    """Make a catalog of these rows of each table."""
    creator = partial(sqlite3.connect, path)
    with create_engine("sqlite://", creator=creator, poolclass=NullPool).begin() as connection:
        t.metadata.create_all(connection)
        for table, given in rows.items():
            # once each: a row may have been read from both ends
            insert = t.metadata.tables[table].insert().prefix_with("OR IGNORE")
            for row in given:
                connection.execute(insert.values(row))
