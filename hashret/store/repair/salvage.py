"""Read what is sound in a damaged SQLite catalog, and make a new one of it.

A catalog whose pages are damaged, whose file is cut or whose rows disagree with their checksums
still holds rows that agree with theirs. Those of the newest commit that can be read are kept, as
they are; a code whose row is lost is marked as removed. Nothing is guessed: what no checksum
vouches for is not kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import create_engine, exc

from hashret.errors import DamagedError
from hashret.store.catalog import tables as t
from hashret.store.catalog.records import commit_of, model_of, segment_of
from hashret.store.catalog.sqlite_guard import restrain
from hashret.store.catalog.sums import FIXED, LAST, checksum, removal, sum_of_rows
from hashret.store.files import require_sound
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord
from hashret.store.refusals import sqlite_error
from hashret.store.segments import SegmentRecord, open_segment
from hashret.store.untrusted import open_plain

_PAGE = 4096
Row = tuple[Any, ...]
Record = TypeVar("Record")


@dataclass(slots=True)
class Salvaged:
    """What a new catalog would hold, and what is lost."""

    kind: str
    commit: int
    """The newest commit that can be read; what came after it is lost."""
    model: ModelRecord
    segments: list[Row] = field(default_factory=list)
    models: list[Row] = field(default_factory=list)
    items: list[Row] = field(default_factory=list)
    live: list[int] = field(default_factory=list)
    lost_rows: list[int] = field(default_factory=list)
    lost_ids: list[str] = field(default_factory=list)
    unsound: list[Path] = field(default_factory=list)
    """Files of codes and features that are not as they were written."""
    without_features: list[str] = field(default_factory=list)


def salvage(layout: Layout) -> Salvaged:
    """Read what is sound. Raises `DamagedError` where no commit or no model of it can be read."""
    with TemporaryDirectory(prefix="hashret-") as folder:
        for whole in (False, True):
            copy = Path(folder) / f"{whole}.sqlite"
            with open_plain(layout.sqlite) as stream:
                data = stream.read()
            copy.write_bytes(_with_first_page(data, Path(folder)) if whole else data)
            connection = sqlite3.connect(f"{copy.as_uri()}?mode=ro&immutable=1", uri=True)
            try:
                restrain(connection)
                found = _salvaged(layout, connection)
            except sqlite3.DatabaseError:
                found = None
            finally:
                connection.close()
            if found is not None:
                return found
    raise DamagedError(
        f"{layout.sqlite}: expected a commit that can be read, got none; "
        "restore the collection from a copy or index it again"
    )


def _with_first_page(data: bytes, folder: Path) -> bytes:
    """The file with the header and the schema of a new catalog: hashret's never differ."""
    new = folder / "new.sqlite"
    _make(new)
    first = bytearray(new.read_bytes()[:_PAGE])
    first[28:32] = (len(data) // _PAGE).to_bytes(4, "big")  # pages
    first[32:40] = bytes(8)  # no list of free pages
    return bytes(first) + data[_PAGE:]


def _make(path: Path) -> None:
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    try:
        t.metadata.create_all(engine)
    finally:
        engine.dispose()


def _salvaged(layout: Layout, connection: sqlite3.Connection) -> Salvaged | None:
    facts = {row[0]: row[1] for row in _rows(connection, "meta") if len(row) == 2}
    stated = str(checksum(facts.get("format"), facts.get("kind")))
    if facts.get(FIXED) != stated or facts["format"] != str(t.FORMAT_VERSION):
        return None
    commits = _sound(commit_of, _rows(connection, "commits"))
    if not commits:
        return None
    last = max(commits, key=lambda commit: commit.commit)
    models = [row for row in _rows(connection, "models") if row[0] == last.model]
    records = _sound(lambda row: model_of(layout, row), models)
    if not records:
        return None
    found = Salvaged(str(facts["kind"]), last.commit, records[0], models=models)
    segments = [row for row in _rows(connection, "segments") if type(row[1]) is int]
    next_row = 0
    for row in sorted(segments, key=lambda row: row[1]):
        if _is_visible(row[9], row[10], last.commit):
            for segment in _sound(partial(_segment_from, layout, next_row), [row]):
                next_row = segment.first_row + segment.n_rows
                _take_segment(layout, segment, (*row[:10], None), found)
    _take_items(connection, found)
    return found if found.live or not found.lost_ids else None


def _segment_from(layout: Layout, next_row: int, row: Row) -> SegmentRecord:
    return segment_of(layout, row, next_row)


def _sound(read: Callable[[Row], Record], rows: Iterable[Row]) -> list[Record]:
    """What is read of the rows that are as hashret writes them: a stranger may have signed any."""
    found = []
    for row in rows:
        with suppress(DamagedError):
            found.append(read(row))
    return found


def _take_segment(layout: Layout, segment: SegmentRecord, row: Row, found: Salvaged) -> None:
    """A segment whose codes are sound, without its features where those are not."""
    try:
        open_segment(layout, segment)
    except DamagedError:
        found.unsound.append(layout.segments / segment.file.name)
        return
    if segment.features is not None:
        path = layout.segments / segment.features.name
        try:
            require_sound(path, segment.features)
        except DamagedError:
            found.unsound.append(path)
            found.without_features.append(segment.name)
            row = (*row[:6], None, None, *row[8:])
    found.segments.append(row)


def _take_items(connection: sqlite3.Connection, found: Salvaged) -> None:
    spans = [range(row[1], row[1] + row[2]) for row in found.segments]
    covered = {row for span in spans for row in span}
    sound: dict[int, Row] = {}
    names: dict[int, str] = {}
    for row in _rows(connection, "items", covered):
        if row[0] in covered or _is_visible(row[6], row[7], found.commit):
            names[row[0]] = str(row[1])
        if checksum(*row[:5], row[6]) == row[5] and row[8] == _removal(row):
            sound[row[0]] = row
    names = _names(connection) | names
    for number in sorted(covered):
        row = sound.get(number, ())
        if not row:
            found.lost_rows.append(number)
        elif _is_visible(row[6], row[7], found.commit):
            found.live.append(number)
            found.items.append((*row[:7], None, None))
        else:  # a code that is not shown any more
            found.items.append(row)
    lost = {
        row
        for row, kept in sound.items()
        if row not in covered and _is_visible(kept[6], kept[7], found.commit)
    }
    shown = {sound[row][1] for row in found.live}
    for number in sorted(lost | set(found.lost_rows)):
        name = names.get(number)
        if name is None or name not in shown:
            found.lost_ids.append(name or f"(row {number}, whose id cannot be read)")


def _removal(row: Row) -> int | None:
    return None if type(row[7]) is not int else removal(row[0], row[7])


def _is_visible(added: Any, removed: Any, commit: int) -> bool:
    if type(added) is not int:
        return False
    return added <= commit and (type(removed) is not int or removed > commit)


def _rows(
    connection: sqlite3.Connection, table: str, wanted: set[int] | None = None
) -> Iterator[Row]:
    """The rows of a table that can be read; after a damaged page, each wanted one by its number."""
    n_columns = len(t.metadata.tables[table].columns)
    seen = set()
    query = f'SELECT rowid, * FROM "{table}" NOT INDEXED'  # noqa: S608 - one of our tables
    try:
        for number, *row in connection.execute(f"{query} ORDER BY rowid"):
            seen.add(number)
            if len(row) == n_columns:
                yield tuple(row)
        return
    except sqlite3.DatabaseError:
        if not seen and wanted is None:
            raise
    for number in sorted((wanted or set(range(1, 10_000))) - seen):
        try:
            for _, *row in connection.execute(f"{query} WHERE rowid = ?", (number,)):
                yield tuple(row)
        except sqlite3.DatabaseError:
            continue


def _names(connection: sqlite3.Connection) -> dict[int, str]:
    """The ids of rows by the index of ids, as far as it can be read."""
    names: dict[int, str] = {}
    try:
        query = "SELECT row, id FROM items INDEXED BY items_by_id ORDER BY id"
        for row, item_id in connection.execute(query):
            names[row] = str(item_id)
    except sqlite3.DatabaseError:
        pass  # what was read is better than nothing
    return names


def write_catalog(path: Path, found: Salvaged) -> None:
    """Make a catalog at `path` of what was salvaged, durably but for its name.

    Raises `StorageError` where the disk does not take it.
    """
    try:
        _make(path)
        _fill(path, found)
    except (exc.OperationalError, sqlite3.OperationalError) as error:
        raise sqlite_error(path, getattr(error, "orig", error)) from error


def _fill(path: Path, found: Salvaged) -> None:
    commit = found.commit + 1
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN")
        meta = {"format": str(t.FORMAT_VERSION), "kind": found.kind}
        meta[FIXED] = str(checksum(*meta.values()))
        items = list(found.items)
        for number in found.lost_rows:
            plain = (number, "", b"", "{}", "")
            items.append((*plain, checksum(*plain, 0), 0, commit, removal(number, commit)))
        live = np.array(found.live, np.int64)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = (commit, now, len(live), found.model.name, sum_of_rows(live))
        meta[LAST] = str(checksum(*row))
        for table, rows in (
            ("meta", list(meta.items())),
            ("models", found.models),
            ("segments", [(*segment, checksum(*segment)) for segment in found.segments]),
            ("items", items),
            ("commits", [(*row, checksum(*row))]),
        ):
            places = ", ".join("?" * len(t.metadata.tables[table].columns))
            connection.executemany(f'INSERT INTO "{table}" VALUES ({places})', rows)  # noqa: S608
        connection.execute("COMMIT")
    finally:
        connection.close()
