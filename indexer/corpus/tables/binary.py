"""Tables in binary files (Parquet, Arrow, SQLite): a worker reads them, some rows at a time.

These files come from strangers, and what decodes them is written in C and C++. In a worker it has
limits of memory and time, and where it ends its process the run goes on. The worker keeps the file
open between two requests; a new worker, after one has died, opens it at the row that is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from hashret.arguments import resolve
from hashret.errors import InputError, PayloadError
from hashret.items import metadata_of
from hashret.workers.refusals import Refused
from indexer.corpus import files
from indexer.corpus.reading import Reading
from indexer.corpus.tables import database, rows
from indexer.corpus.tables.compressed import DAMAGED, decompressed, error_class, plain_suffix
from indexer.corpus.tables.compressed import SUFFIXES as COMPRESSED
from indexer.corpus.tables.rows import BadRow, Row, too_large

if TYPE_CHECKING:
    from hashret.workers.pool import Work

#: Suffix -> a function (open file, first row) that yields the rows of a table of columns.
COLUMNAR = {
    ".parquet": "indexer.corpus.tables.columnar:parquet_rows",
    ".arrow": "indexer.corpus.tables.columnar:arrow_rows",
    ".feather": "indexer.corpus.tables.columnar:arrow_rows",
    ".ipc": "indexer.corpus.tables.columnar:arrow_rows",
}
#: The suffixes of SQLite databases.
DATABASES = (".sqlite", ".sqlite3", ".db")
SUFFIXES = (*COLUMNAR, *DATABASES)

_ROWS = 1000  # rows of one answer of the worker, at most
_CHARACTERS = 8 << 20  # characters after which an answer ends
_MAX_DECOMPRESSED = 512 << 20  # bytes of a compressed file, which must fit into memory
_SECONDS = 60.0  # for one answer, the first of which may need to decompress the whole file


def binary_rows(path: Path, how: Reading, wanted: Sequence[str]) -> Iterator[Row | BadRow]:
    """The rows of a table; if the rest can't be read, the last one is a `BadRow` with the reason.

    In the columns that are `wanted`, as text or id, bytes that are UTF-8 are strings. A null is
    left out. So is a value that metadata can't have, which `how` counts. Raises `Refused` if it is
    no regular file, and InputError if it is not clear which table of a database is meant.
    """
    from hashret.workers.pool import AVAILABLE, Limits, Workers

    files.open_regular(path, follow=True).close()
    args = path.absolute(), how.table, list(wanted)
    if not AVAILABLE:
        work = reading(*args)
        yield from _asked(path, how, lambda start: work([start], lambda at: None)[0])
        return
    task, limits = "indexer.corpus.tables.binary:reading", Limits(seconds=_SECONDS)
    with Workers(task, args, n=1, limits=limits) as workers:
        yield from _asked(path, how, lambda start: next(workers.map([[start]]))[0])


def _asked(path: Path, how: Reading, ask: Callable[[int], Any]) -> Iterator[Row | BadRow]:
    start, within = 0, ""
    while True:
        answer = ask(start)
        if isinstance(answer, Refused):
            reason = f"row {start + 1}: {answer.reason}; the rest is not read"
            yield BadRow(start + 1, Refused(answer.error_class, reason), within)
            return
        if "unclear" in answer:
            raise InputError(f"{how.shown(path)}: {answer['unclear']}")
        within = answer["within"]
        how.left_out.update(answer["lost"])
        for number, found in enumerate(answer["rows"], start + 1):
            if isinstance(found, dict):
                yield Row(number, found, within=within)
            else:
                yield BadRow(number, Refused(*found), within)
        start += len(answer["rows"])
        if answer["is_end"]:
            return


def reading(path: Path, table: str | None, wanted: list[str]) -> Work:
    """The task of the worker: the items are numbers of rows, from 0, from which on rows are read.

    A result is {"rows": [fields or [class, reason] of a refused row, ...], "lost": {column: number
    of values that were left out}, "within": as in `Row`, "is_end": whether no row follows}, or
    {"unclear": a reason}.
    """
    from hashret.workers.pool import each

    return each(_Open(path, table, frozenset(wanted)).answer)


class _Open:
    """A table that is open at a row."""

    def __init__(self, path: Path, table: str | None, wanted: frozenset[str]) -> None:
        self._path = path
        self._table = table
        self._wanted = wanted
        self._at = -1  # the row that comes next; -1: it is not open
        self._rows: Iterator[dict[str, Any]] = iter(())
        self._within = ""

    def answer(self, start: int) -> dict[str, Any]:
        """The rows from `start` on, as many as one answer has; raises `Refused`."""
        found: list[Any] = []
        lost: Counter[str] = Counter()
        is_end, size = False, 0
        try:
            if start != self._at:
                self._rows = self._opened(start)
            while len(found) < _ROWS and size < _CHARACTERS and not is_end:
                fields = next(self._rows, None)
                if fields is None:
                    is_end = True
                else:
                    row, n_characters = _row(fields, self._wanted, lost)
                    found.append(row)
                    size += n_characters
            self._at = start + len(found)
        except database.Unclear as unclear:
            return {"unclear": str(unclear)}
        except MemoryError:
            raise
        except Exception as error:  # whatever a decoder makes of a damaged file
            self._at = -1
            if not found:  # else the next request fails with it
                raise _refusal(error, self._path) from error
        return {"rows": found, "lost": dict(lost), "within": self._within, "is_end": is_end}

    def _opened(self, start: int) -> Iterator[dict[str, Any]]:
        suffix = plain_suffix(self._path)
        is_compressed = self._path.suffix.lower() in COMPRESSED
        stream: IO[bytes] = files.open_regular(self._path, follow=True)
        if is_compressed:
            with stream:
                stream = BytesIO(_decompressed(stream, self._path))
        if suffix in COLUMNAR:
            return iter(resolve(COLUMNAR, suffix, "table")(stream, start))
        data = stream.read() if is_compressed else None
        stream.close()
        if data is None:
            database.require_settled(self._path)
        connection = database.opened(self._path, data)
        try:
            table = database.table_of(connection, self._table)
        except BaseException:
            connection.close()
            raise
        self._within = f"{table}:"
        return database.database_rows(connection, table, start)


def _decompressed(raw: Any, path: Path) -> bytes:
    data = decompressed(raw, path).read(_MAX_DECOMPRESSED + 1)
    if len(data) > _MAX_DECOMPRESSED:
        raise Refused(
            "too-large",
            f"expected at most {_MAX_DECOMPRESSED:,} bytes when decompressed, got more; "
            "decompress the file",
        )
    return data


def _row(
    fields: dict[str, Any], wanted: frozenset[str], lost: Counter[str]
) -> tuple[dict[str, Any] | list[str], int]:
    """The fields of a row as JSON has them, or [class, reason]; and the number of characters.

    `lost` counts the values that are left out.
    """
    fields = {
        name: _as_text(value) if name in wanted and isinstance(value, bytes) else value
        for name, value in fields.items()
        if value == value  # NaN stands for no value
    }
    try:
        found = metadata_of(fields)
    except PayloadError:
        found = {}
        for name, value in fields.items():
            try:
                found |= metadata_of({name: value})
            except PayloadError:
                lost[name] += 1
    size = sum(len(value if isinstance(value, str) else repr(value)) for value in found.values())
    if size > rows.MAX_CHARACTERS:
        refused = too_large("row")
        return [refused.error_class, refused.reason], 0
    return found, size


def _as_text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _refusal(error: Exception, path: Path) -> Refused:
    """The refusal for what stopped the reading of a table."""
    if isinstance(error, Refused):
        return error
    is_damaged = path.suffix.lower() in COMPRESSED and isinstance(error, DAMAGED)
    named = error_class(path) if is_damaged else "damaged-table"
    return Refused(named, f"damaged from here on: {str(error) or type(error).__name__:.300}")
