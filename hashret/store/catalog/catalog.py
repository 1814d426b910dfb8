"""The catalog: which items, segments and models there are, at which commit.

Reading is by snapshot: every question names a commit, and what a writer stages meanwhile has a
higher number. Writing is `hashret.store.catalog.staging.Staging`. Through SQLAlchemy Core; what
the databases differ in is `hashret.store.catalog.database`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from typing import Any

import numpy as np
from sqlalchemy import func, or_, select, true

from hashret._backports import chunks
from hashret.errors import DamagedError
from hashret.items import is_storable
from hashret.store.catalog import tables as t
from hashret.store.catalog.connection import CatalogConnection
from hashret.store.catalog.records import (
    CommitRecord,
    ItemRecord,
    commit_of,
    damaged,
    item_of,
    model_of,
    segment_of,
)
from hashret.store.catalog.sums import LAST, removal, sum_of_rows
from hashret.store.model_files import ModelRecord
from hashret.store.segments import SegmentRecord
from hashret.store.untrusted import RESTORE, require_types
from hashret.where.conditions import Condition

_CHUNK = 500  # bound values of one statement


class Catalog(CatalogConnection):
    """What the catalog of one collection says; `open` or `create` it."""

    def last_commit(self) -> CommitRecord:
        """The newest commit; number 0 without items or model before the first."""
        last = select(t.meta.c.value).where(t.meta.c.key == LAST).scalar_subquery()
        newest = select(t.commits).order_by(t.commits.c.commit.desc()).limit(1).subquery()
        # one statement, so that both are of one moment
        query = select(last, newest).select_from(select(last).subquery().outerjoin(newest, true()))
        with self.transaction() as connection:
            stated, *found = connection.execute(query).one()
        if stated == "" and found == [None] * len(found):
            return CommitRecord(0, "", 0, None)
        record = commit_of(found)
        if stated != str(found[-1]):
            raise damaged(self.layout, "commits: expected the last one", f"commit {record.commit}")
        return record

    def segments(self, commit: int) -> list[SegmentRecord]:
        """The segments visible at `commit`, by first row."""
        s = t.segments
        query = select(s).where(_visible(s, commit)).order_by(s.c.first_row)
        with self.transaction() as connection:
            found = connection.execute(query).all()
        records: list[SegmentRecord] = []
        next_row = 0
        for row in found:
            record = segment_of(self.layout, row, next_row)
            next_row = record.first_row + record.n_rows
            records.append(record)
        if len({record.n_bits for record in records}) > 1:
            raise DamagedError(
                f"{self.layout.catalog}: expected codes of one length, got several; {RESTORE}"
            )
        return records

    def model(self, name: str) -> ModelRecord:
        """The model of this name. Raises `DamagedError` if there is none."""
        with self.transaction() as connection:
            query = select(t.models).where(t.models.c.name == name)
            found = connection.execute(query).one_or_none()
        if found is None:
            raise DamagedError(
                f"{self.layout.root}: expected a model {name!r}, got none; index it again"
            )
        return model_of(self.layout, found)

    def has_model(self, name: str, sha256: str) -> bool:
        """Whether there is a model of this name whose arrays have this digest, staged or not."""
        try:
            return self.model(name).sha256 == sha256
        except DamagedError:
            return False

    def removed_rows(self, commit: int) -> np.ndarray:
        """The rows of visible segments that are not visible at `commit`, sorted int64."""
        i = t.items.c
        first = select(func.min(t.segments.c.first_row)).where(_visible(t.segments, commit))
        query = (
            select(i.row, i.removed, i.removal)
            .where(i.removed.is_not(None), i.removed <= commit)
            .where(i.row >= first.scalar_subquery())
        )
        with self.transaction() as connection:
            found = connection.execute(query).all()
        for values in found:
            require_types(values, int, int, int)
        rows, removed, beside = np.array(found, np.int64).reshape(-1, 3).T
        if (removal(rows, removed) != beside).any():
            raise damaged(self.layout, "items: expected a removal as it was written", "another")
        return np.sort(rows)

    def live_rows(self, commit: int) -> np.ndarray:
        """The rows visible at `commit`, sorted int64: those of its segments, less the removed."""
        parts = []
        for segment in self.segments(commit):
            path = self.layout.segments / segment.file.name
            # a stranger's number of rows must not ask for more memory than there are codes
            if not path.is_file() or path.stat().st_size < segment.n_rows:
                raise damaged(self.layout, f"{segment.n_rows} rows in {path}", "fewer")
            stop = segment.first_row + segment.n_rows
            parts.append(np.arange(segment.first_row, stop, dtype=np.int64))
        rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
        removed = self.removed_rows(commit)
        if len(removed):
            at = np.searchsorted(rows, removed)  # both are sorted
            rows = np.delete(rows, at[np.append(rows, -1)[at] == removed])
        return rows

    def require_rows(self, rows: np.ndarray, commit: CommitRecord) -> None:
        """Raise `DamagedError` unless these are the rows that `commit` shows."""
        if len(rows) != commit.n_items or sum_of_rows(rows) != commit.rows_sum:
            raise damaged(
                self.layout,
                f"expected {commit.n_items} items in commit {commit.commit}",
                f"{len(rows)}" if len(rows) != commit.n_items else "others",
            )

    def items(self, rows: Iterable[int]) -> dict[int, ItemRecord]:
        """The items of these rows. Raises `DamagedError` if one is missing or not as written."""
        found = {}
        wanted = 0
        with self.transaction() as connection:
            for chunk in chunks(rows, _CHUNK):
                wanted += len(chunk)
                query = select(t.items).where(t.items.c.row.in_(chunk))
                for row in connection.execute(query):
                    found[row.row] = item_of(self.layout, row)
        if len(found) != wanted:
            raise DamagedError(
                f"{self.layout.catalog}: expected {wanted} rows, got {len(found)}; {RESTORE}"
            )
        return found

    def first_by_id(self, rows: Iterable[int], count: int) -> list[int]:
        """The `count` of these rows whose ids come first, sorted by row."""
        if count < 1:
            return []
        pairs = [(record.id, row) for row, record in self.items(rows).items()]
        return sorted(row for _, row in nsmallest(count, pairs))

    def versions(self, ids: Iterable[str]) -> list[tuple[str, int]]:
        """Id and row of all that have one of these ids, whatever commit shows them; unchecked."""
        found = []
        with self.transaction() as connection:
            for chunk in chunks(filter(is_storable, ids), _CHUNK):
                query = select(t.items.c.id, t.items.c.row).where(self._database.has_id(chunk))
                for item_id, row in connection.execute(query):
                    require_types((item_id, row), str, int)
                    found.append((item_id, row))
        return found

    def rows(self, ids: Iterable[str], commit: int) -> dict[str, int]:
        """The row of each id that is visible at `commit`; unknown ids are left out."""
        found: dict[str, int] = {}
        with self.transaction() as connection:
            for chunk in chunks(filter(is_storable, ids), _CHUNK):
                query = select(t.items.c.id, t.items.c.row).where(
                    self._database.has_id(chunk), _visible(t.items, commit)
                )
                for item_id, row in connection.execute(query):
                    require_types((item_id, row), str, int)
                    found[item_id] = row
        return found

    def rows_where(self, condition: Condition) -> np.ndarray:
        """The rows, at whatever commit, whose items satisfy the condition, sorted int64."""
        with self.transaction() as connection:
            query = select(t.items.c.row).where(self._database.where(connection, condition, true()))
            # an index may be damaged where the rows are not; they are all read anyway
            query = query.with_hint(t.items, "NOT INDEXED", "sqlite")
            found = connection.execute(query).scalars().all()
        require_types(found, *[int] * len(found))
        return np.sort(np.array(found, np.int64))

    def item_pages(
        self, commit: int, page: int = 1000, where: Condition | None = None
    ) -> Iterator[list[ItemRecord]]:
        """All items visible at `commit` that satisfy `where`, ordered by id, a page at a time."""
        visible = _visible(t.items, commit)
        wanted = select(t.items).where(visible).order_by(*self._database.by_id()).limit(page)
        if where is not None:
            with self.transaction() as connection:
                wanted = wanted.where(self._database.where(connection, where, visible))
        query = wanted
        while True:
            with self.transaction() as connection:
                found = connection.execute(query).all()
            if not found:
                return
            query = wanted.where(self._database.after_id(found[-1].id))
            yield [item_of(self.layout, row) for row in found]

    def examined_rows(self, commit: int) -> Iterator[tuple[int, DamagedError | None]]:
        """Each row visible at `commit`, with what is wrong with it, or None."""
        after = -1
        while True:
            query = select(t.items).where(_visible(t.items, commit), t.items.c.row > after)
            with self.transaction() as connection:
                found = connection.execute(query.order_by(t.items.c.row).limit(1000)).all()
            if not found:
                return
            after = found[-1].row
            for row in found:
                try:
                    item_of(self.layout, row)
                except DamagedError as error:
                    yield row.row, error
                else:
                    yield row.row, None

    def ids_of_rows(self, rows: Iterable[int]) -> list[str]:
        """The ids that stand in these rows, unchecked, sorted: for saying what is lost."""
        with self.transaction() as connection:
            found = [
                str(item_id)
                for chunk in chunks(rows, _CHUNK)
                for item_id in connection.execute(
                    select(t.items.c.id).where(t.items.c.row.in_(chunk))
                ).scalars()
            ]
        return sorted(found)

    def names(self) -> tuple[set[str], set[str]]:
        """The names of all segments and of all models, of every commit and staged, unchecked."""
        with self.transaction() as connection:
            segments = set(connection.execute(select(t.segments.c.name)).scalars())
            return segments, set(connection.execute(select(t.models.c.name)).scalars())

    def commits(self) -> list[CommitRecord]:
        """All commits, newest first."""
        with self.transaction() as connection:
            found = connection.execute(select(t.commits).order_by(t.commits.c.commit.desc())).all()
        return [commit_of(row) for row in found]


def _visible(table: Any, commit: int) -> Any:
    return (table.c.added <= commit) & or_(table.c.removed.is_(None), table.c.removed > commit)
