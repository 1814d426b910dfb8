"""What a catalog needs of the database that it is in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, MetaData, Table


class Database(Protocol):
    """Everything in which SQLite and PostgreSQL differ."""

    name: str
    """What it is called where a user sees it; without a password."""

    is_local: bool
    """Whether everybody who reads it does so by files that this machine's locks are on."""

    def connect(self, write: bool, wait_seconds: float) -> Connection:
        """A connection for reading, or the one of a writer that has waited for its turn."""
        ...

    def errors(self) -> AbstractContextManager[None]:
        """Within it, errors of the database become errors of the collection."""
        ...

    def is_made(self, connection: Connection) -> bool:
        """Whether the tables are there, all of them: they are made in one transaction."""
        ...

    def make(self, connection: Connection) -> None:
        """Make the tables."""
        ...

    def require_table(self, connection: Connection, table: Table) -> None:
        """Raise `DamagedError` if this table, where it stands, is not as hashret makes it."""
        ...

    def require_schema(self, connection: Connection, tables: MetaData) -> None:
        """Raise `DamagedError` if there is anything but these tables and their indexes."""
        ...

    def replace(
        self, connection: Connection, former: MetaData, fill: Callable[[Connection], None]
    ) -> None:
        """Put new tables, as `fill` fills them, in the place of the `former` ones, all at once.

        Outside of a transaction; a connection of SQLite can't be asked afterwards.
        """
        ...

    def faults(self, connection: Connection) -> list[str]:
        """What the database itself finds wrong with what it keeps, at most ten."""
        ...

    def n_bytes(self, connection: Connection) -> int:
        """What the catalog takes on disk."""
        ...

    def shrink(self, connection: Connection) -> None:
        """Give the space of deleted rows back, outside of a transaction."""
        ...

    def discard(self, connection: Connection) -> None:
        """Delete what is outside the collection's folder, if it never had a commit."""
        ...
