"""The tables of format 2, in which every item was a row; `hashret.store.catalog.former` reads them.

A row is visible at commit c if added <= c and not removed by c. `meta` and `models` are as in the
format after it (`hashret.store.catalog.tables`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    Table,
    text,
)

from hashret.store.catalog import tables as t
from hashret.store.catalog.tables import Integer, String, Text

FORMAT_VERSION = 2

metadata = MetaData()

t.meta.to_metadata(metadata)
models = t.models.to_metadata(metadata)


def _of_a_model() -> ForeignKeyConstraint:
    """Said for readers; PostgreSQL was not told."""
    return ForeignKeyConstraint(["model"], ["models.name"]).ddl_if(dialect="sqlite")


commits = Table(
    "commits",
    metadata,
    Column("commit", Integer, primary_key=True, autoincrement=False),
    Column("created_at", String, nullable=False),
    Column("n_items", Integer, nullable=False),
    Column("model", String, nullable=False),
    _of_a_model(),
    Column("rows_sum", BigInteger, nullable=False),  # over the rows of the live items
    Column("checksum", BigInteger, nullable=False),
)

segments = Table(
    "segments",
    metadata,
    Column("name", String, primary_key=True),
    Column("first_row", Integer, nullable=False),
    Column("n_rows", Integer, nullable=False),
    Column("n_bits", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("features_size", Integer),  # of the file of features, where they are kept
    Column("features_sha256", String),
    Column("model", String, nullable=False),
    _of_a_model(),
    Column("added", Integer, nullable=False),
    Column("removed", Integer),
    Column("checksum", BigInteger, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("content_hash", LargeBinary(32), nullable=False),
    Column("metadata", Text, nullable=False),  # JSON
    Column("preview", Text, nullable=False),
    Column("checksum", BigInteger, nullable=False),  # over all but the two last
    Column("added", Integer, nullable=False),
    Column("removed", Integer),
    Column("removal", BigInteger),  # beside `removed`, so that neither changes unnoticed
)
# PostgreSQL had others, which are not looked at
Index("items_by_id", items.c.id).ddl_if(dialect="sqlite")
for _name, _column, _where in (
    ("items_live_id", items.c.id, "removed IS NULL"),
    ("items_removed", items.c.removed, "removed IS NOT NULL"),
):
    Index(_name, _column, unique=_column is items.c.id, sqlite_where=text(_where)).ddl_if(
        dialect="sqlite"
    )
