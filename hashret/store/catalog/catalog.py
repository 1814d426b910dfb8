"""The catalog: which segments and models there are, and which rows are gone, at which commit.

Reading is by snapshot: every question names a commit, and what a writer stages meanwhile has a
higher number. Writing is `hashret.store.catalog.staging.Staging`. Through SQLAlchemy Core; what
the databases differ in stands in `hashret.store.catalog.sqlite` and `.postgresql`.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sqlalchemy import Connection, or_, select, true

from hashret.errors import CollectionError, DamagedError
from hashret.row_numbers import ascending
from hashret.store.catalog import tables as t
from hashret.store.catalog.records import (
    FOLDERS,
    LAST,
    MOST_FOLDERS,
    CommitRecord,
    SourceFolder,
    commit_of,
    model_of,
    removal_of,
    segment_of,
    state_of,
    unlike,
    value_of_folders,
)
from hashret.store.disk.damage import INDEX_AGAIN, damaged
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord
from hashret.store.opened_folder import OpenedFolder
from hashret.store.segments.segment import Segment
from hashret.store.segments.stored_items import StoredItems

if TYPE_CHECKING:
    from hashret.store.catalog.postgresql import PostgresqlDatabase
    from hashret.store.catalog.sqlite import SqliteDatabase

    Database = SqliteDatabase | PostgresqlDatabase

#: What a writer is told whose folder is no longer there.
NOT_WRITTEN = "nothing was committed; open it again and do it once more"


class Catalog:
    """One connection to the database of a collection, for readers or for the one writer.

    `hashret.store.catalog.opening` makes it.
    """

    _commits = t.commits

    def __init__(
        self,
        layout: Layout,
        database: Database,
        connection: Connection,
        kind: str,
        folders: tuple[SourceFolder, ...] | None,
        *,
        write: bool,
    ):
        self.layout = layout
        self.kind = kind
        #: The folders that were indexed; None where what is said of them is damaged.
        self.folders = folders
        #: The format that the collection had until it was opened for writing, if another.
        self.rewritten_from: int | None = None
        #: What stood at the path when the catalog was opened.
        self.folder = OpenedFolder(layout)
        #: Where it is: "sqlite", or the address of the server without a password.
        self.place = database.name
        #: Whether everybody who reads it does so by files that this machine's locks are on.
        self.is_local = database.is_local
        self._database = database
        self._connection = connection
        self._writes = write
        self._process = os.getpid()
        self._is_closed = False

    def remember_folders(self, folders: Sequence[SourceFolder]) -> None:
        """Say that the collection was indexed from these folders too; for the writer."""
        all_of_them = list(dict.fromkeys([*folders, *(self.folders or ())]))
        kept = tuple(all_of_them[:MOST_FOLDERS])
        if kept == self.folders:
            return
        with self.transaction() as connection:
            connection.execute(t.meta.delete().where(t.meta.c.key == FOLDERS))
            connection.execute(t.meta.insert().values(key=FOLDERS, value=value_of_folders(kept)))
        self.folders = kept

    def close(self) -> None:
        """Close the connection; the catalog can't be asked afterwards."""
        if self._is_closed:
            return
        self._is_closed = True
        self.folder.close()
        if self._process == os.getpid():  # in a fork it would say good-bye in the parent's name
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def connection(self) -> Connection:
        """The one connection, for statements inside a `transaction`.

        Raises CollectionError once it is closed, and in a fork.
        """
        self.require_open()
        if self._process != os.getpid():
            raise CollectionError(
                f"{self.layout.root}: expected to use its catalog in process {self._process}, "
                "which opened it, got a fork of it; open an Indexer in the process that uses it"
            )
        return self._connection

    def require_open(self) -> None:
        """Raise CollectionError once it is closed."""
        if self._is_closed:
            raise CollectionError(
                f"{self.layout.root}: expected an open collection, got one that was closed; "
                "open it again"
            )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction; database errors become errors of the collection.

        Of a reader whose folder was replaced it is answered from the file that was opened. A writer
        would commit into nothing: CollectionError.
        """
        connection = self.connection
        if self._writes:
            self.folder.require_unchanged(NOT_WRITTEN)
        else:
            self.folder.require_own_journal()
        with self.folder.reading(), self._database.errors(), connection.begin():
            yield connection

    def n_bytes(self) -> int:
        """What it takes on disk."""
        with self.transaction() as connection:
            return self._database.n_bytes(connection)

    def shrink(self) -> None:
        """Give the space of deleted rows back."""
        self._database.shrink(self.connection)

    def discard(self) -> None:
        """Delete what is outside the folder, of a collection that never had a commit."""
        with self.transaction() as connection:
            self._database.discard(connection)

    def faults(self) -> list[str]:
        """What is wrong with it beside its rows; empty if nothing."""
        with self.transaction() as connection:
            found = self._database.faults(connection)
        if self.folders is None:
            found.append("folders: expected their checksum to agree, got another")
        return found

    # what it says

    def _commit_of(self, row: Sequence[Any]) -> CommitRecord:
        return commit_of(row)

    def last_commit(self) -> CommitRecord:
        """The newest commit; number 0 without items or model before the first."""
        last = select(t.meta.c.value).where(t.meta.c.key == LAST).scalar_subquery()
        of_all = self._commits
        newest = select(of_all).order_by(of_all.c.commit.desc()).limit(1).subquery()
        # one statement, so that both are of one moment
        query = select(last, newest).select_from(select(last).subquery().outerjoin(newest, true()))
        with self.transaction() as connection:
            stated, *found = connection.execute(query).one()
        if stated == "" and found == [None] * len(found):
            return CommitRecord(0, "", 0)
        record = self._commit_of(found)
        if stated != str(found[-1]):
            raise unlike(self.layout, "commits", "the last one", f"commit {record.commit}")
        return record

    def segments(self, commit: int) -> list[Segment]:
        """The segments visible at `commit`, by first row, with their removed rows."""
        s, r = t.segments, t.removals
        query = select(s).where(visible(s, commit)).order_by(s.c.first_row)
        with self.transaction() as connection:
            found = connection.execute(query).all()
            removals = connection.execute(select(r).where(r.c.added <= commit)).all()
        removed: dict[str, list[np.ndarray]] = defaultdict(list)
        for row in removals:
            name, rows = removal_of(self.layout, row)
            removed[name].append(rows)
        records: list[Segment] = []
        next_row = 0
        for row in found:
            record = segment_of(self.layout, row, next_row)
            next_row = record.stop
            if record.name in removed:
                rows = ascending(np.concatenate(removed[record.name]))
                if len(rows) and rows[-1] >= record.n_rows:
                    raise unlike(
                        self.layout, f"removed rows of {record.name}", "rows of it", "others"
                    )
                record = replace(record, removed=rows)
            records.append(record)
        if len({record.n_bits for record in records if record.n_coded}) > 1:
            raise damaged(self.layout.catalog, "codes of one length", "several")
        return records

    def segments_of(self, commit: CommitRecord) -> list[Segment]:
        """The segments of a commit. Raises `DamagedError` unless they are those it was made of."""
        segments = self.segments(commit.commit)
        n_items = sum(segment.n_live for segment in segments)
        if n_items != commit.n_items or (commit.commit and state_of(segments) != commit.state):
            got = n_items if n_items != commit.n_items else "others"
            raise unlike(self.layout, f"commit {commit.commit}", f"{commit.n_items} items", got)
        return segments

    def items_of(self, commit: CommitRecord) -> StoredItems:
        """The items of a commit. Raises `DamagedError` as `segments_of`."""
        return StoredItems(self.layout, self.segments_of(commit))

    def model(self, name: str) -> ModelRecord:
        """The model of this name. Raises `DamagedError` if there is none."""
        with self.transaction() as connection:
            query = select(t.models).where(t.models.c.name == name)
            found = connection.execute(query).one_or_none()
        if found is None:
            raise damaged(self.layout.root, f"a model {name!r}", "none", INDEX_AGAIN)
        return model_of(self.layout, found)

    def has_model(self, name: str, sha256: str) -> bool:
        """Whether there is a model of this name whose arrays have this digest, staged or not."""
        try:
            return self.model(name).sha256 == sha256
        except DamagedError:
            return False

    def names(self) -> tuple[set[str], set[str]]:
        """The names of all segments and of all models, of every commit and staged, unchecked."""
        with self.transaction() as connection:
            segments = set(connection.execute(select(t.segments.c.name)).scalars())
            return segments, set(connection.execute(select(t.models.c.name)).scalars())

    def commit(self, number: int) -> CommitRecord:
        """The commit of this number. Raises CollectionError where it is not there (any more)."""
        with self.transaction() as connection:
            query = select(self._commits).where(self._commits.c.commit == number)
            found = connection.execute(query).one_or_none()
        if found is None:
            last = self.last_commit().commit
            raise CollectionError(
                f"{self.layout.root}: expected a commit up to {last} that was not compacted away, "
                f"got {number}; leave it out for the last one"
            )
        return self._commit_of(found)

    def commits(self) -> list[CommitRecord]:
        """All commits, newest first."""
        query = select(self._commits).order_by(self._commits.c.commit.desc())
        with self.transaction() as connection:
            found = connection.execute(query).all()
        return [self._commit_of(row) for row in found]


def visible(table: Any, commit: int) -> Any:
    """Whether a row of `segments`, or of the former `items`, is of this commit."""
    return (table.c.added <= commit) & or_(table.c.removed.is_(None), table.c.removed > commit)
