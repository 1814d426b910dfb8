"""The catalog's tables. A row is visible at commit c iff added <= c and not removed by c.

What each `checksum` covers stands in `hashret.store.catalog.sums`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    func,
    text,
)
from sqlalchemy import Integer as _Integer
from sqlalchemy import String as _String
from sqlalchemy import Text as _Text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

# SQLite's integers have 64 bits, its texts are ordered by code points; PostgreSQL is told so.
Integer = _Integer().with_variant(BigInteger(), "postgresql")
String = _String().with_variant(_String(collation="C"), "postgresql")
Text = _Text().with_variant(_Text(collation="C"), "postgresql")
# An entry of a PostgreSQL index has at most 2704 bytes, an id 4096 characters.
_START = 512

FORMAT_VERSION = 2


@lru_cache(maxsize=2)  # of the readers' engine and of the writers'
def statements(dialect: Dialect) -> Mapping[str, str]:
    """The statement that makes each table and index, by name."""
    made: dict[str, str] = {}
    for table in metadata.tables.values():
        made[table.name] = str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes - ONLY_POSTGRESQL:
            made[str(index.name)] = str(CreateIndex(index).compile(dialect=dialect))
    return MappingProxyType(made)


def _of_a_model() -> ForeignKeyConstraint:
    """Said for readers; SQLite does not enforce it unless told, and so PostgreSQL is not told."""
    return ForeignKeyConstraint(["model"], ["models.name"]).ddl_if(dialect="sqlite")


metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", String))

models = Table(
    "models",
    metadata,
    Column("name", String, primary_key=True),
    Column("n_bits", Integer, nullable=False),
    Column("files", Text, nullable=False),  # JSON: name -> [size, sha256]
    Column("added", Integer, nullable=False),
    Column("checksum", BigInteger, nullable=False),
)

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
    ExcludeConstraint(
        ("id", "="), using="hash", where=text("removed IS NULL"), name="items_live_id"
    ).ddl_if(dialect="postgresql"),
)
Index("items_by_id", items.c.id).ddl_if(dialect="sqlite")
Index(
    "items_live_id",
    items.c.id,
    unique=True,
    sqlite_where=text("removed IS NULL"),
).ddl_if(dialect="sqlite")
#: The first characters of an item's id, which PostgreSQL finds and orders items by.
start_of_id = func.substr(items.c.id, 1, _START)
ONLY_POSTGRESQL = {Index("items_by_start_of_id", start_of_id).ddl_if(dialect="postgresql")}
Index(
    "items_removed",
    items.c.removed,
    sqlite_where=text("removed IS NOT NULL"),
    postgresql_where=text("removed IS NOT NULL"),
)

# What a run of a writer has seen; of its session, and gone with it.
seen = Table(
    "seen",
    MetaData(),
    Column("id", String),
    PrimaryKeyConstraint("id").ddl_if(dialect="sqlite"),
    ExcludeConstraint(("id", "="), using="hash").ddl_if(dialect="postgresql"),
    schema="temp",
    sqlite_with_rowid=False,
)


def first_characters(item_id: str) -> str:
    """What `start_of_id` is of this id."""
    return item_id[:_START]
