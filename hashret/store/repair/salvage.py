"""Make a new SQLite catalog of the rows that are sound in a damaged one.

A catalog whose pages are damaged, whose file is cut or whose rows disagree with their checksums
still holds rows that agree with theirs. They are copied as they are into a new catalog. Which of
its commits is whole, the checksum over a commit's segments and removed rows says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from hashret.errors import DamagedError
from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import (
    FIXED,
    FOLDERS,
    LAST,
    checksum,
    commit_of,
    model_of,
    removal_of,
    segment_of,
)
from hashret.store.catalog.sqlite_guard import restrain
from hashret.store.catalog.staging import Staging
from hashret.store.layout import Layout
from hashret.store.originals import of_value
from hashret.store.refusals import sqlite_error
from hashret.store.untrusted import RESTORE, open_plain

_PAGE = 4096  # bytes; SQLite's own default, which hashret's catalogs have
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A catalog of what is sound in a damaged one."""

    layout: Layout
    """Where it is; its last commit is one that can be read."""
    newest: int
    """The newest commit that there was, as far as the sound rows tell."""
    is_whole: bool
    """Whether a commit is whole. Else the last one shows what is left of the newest."""


def salvage(layout: Layout, folder: Path) -> Salvaged:
    """Make a catalog in the empty `folder` of what is sound in that of the collection.

    Raises `DamagedError` where no commit can be read.
    """
    with open_plain(layout.sqlite) as stream:
        data = stream.read()
    unreadable = DamagedError(
        f"{layout.sqlite}: expected a commit that can be read, got none; {RESTORE}"
    )
    for n, given in enumerate((data, _with_first_page(data, folder))):
        damaged = folder / f"damaged-{n}"
        damaged.write_bytes(given)
        rows, is_last = _sound_rows(layout, damaged)
        if rows["commits"]:
            break
    else:
        raise unreadable
    made = Layout(folder / "salvaged")
    for part in (made.segments, made.models):
        part.mkdir(parents=True)
    try:
        _write(made.sqlite, rows)
        is_whole = _ends_with_a_commit(made)
    except sqlite3.OperationalError as error:
        raise sqlite_error(made.sqlite, error) from error
    except DamagedError as error:  # of what a stranger wrote: each row agrees with its checksum
        raise unreadable from error
    newest = int(rows["commits"][0][0])
    if not is_last:  # the row of the last commit may be lost, and what it did be there
        did = [row[7] for row in rows["segments"]] + [row[1] for row in rows["removals"]]
        newest = max([newest, *(int(number) for number in did if type(number) is int)])
    return Salvaged(made, newest, is_whole)


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
            if FOLDERS in facts and of_value(facts[FOLDERS]) is None:
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
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    try:
        t.metadata.create_all(engine)
    finally:
        engine.dispose()
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, given in rows.items():
            places = ", ".join("?" * len(t.metadata.tables[table].columns))
            # once each: a row may have been read from both ends
            insert = f'INSERT OR IGNORE INTO "{table}" VALUES ({places})'  # noqa: S608 - ours
            connection.executemany(insert, given)


def _ends_with_a_commit(made: Layout) -> bool:
    """Whether a commit is whole; else one is made of what is left of the newest."""
    with Catalog.open(made, write=True) as catalog:
        commits = catalog.commits()
        for commit in commits:
            with suppress(DamagedError):
                catalog.segments_of(commit)
                return True
        Staging(catalog).finish(commits[0].model or "")
    return False
