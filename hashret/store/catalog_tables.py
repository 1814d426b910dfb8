"""The catalog's tables. A row is visible at commit c iff added <= c and not removed by c."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

FORMAT_VERSION = 1

metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", String))

models = Table(
    "models",
    metadata,
    Column("name", String, primary_key=True),
    Column("n_bits", Integer, nullable=False),
    Column("files", Text, nullable=False),  # JSON: name -> [size, sha256]
    Column("added", Integer, nullable=False),
)

commits = Table(
    "commits",
    metadata,
    Column("commit", Integer, primary_key=True),
    Column("created_at", String, nullable=False),
    Column("n_items", Integer, nullable=False),
    Column("model", ForeignKey("models.name"), nullable=False),
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
    Column("model", ForeignKey("models.name"), nullable=False),
    Column("added", Integer, nullable=False),
    Column("removed", Integer),
)

items = Table(
    "items",
    metadata,
    Column("row", Integer, primary_key=True),
    Column("id", String, nullable=False),
    Column("content_hash", LargeBinary(32), nullable=False),
    Column("metadata", Text, nullable=False),  # JSON
    Column("preview", Text, nullable=False),
    Column("checksum", Integer, nullable=False),
    Column("added", Integer, nullable=False),
    Column("removed", Integer),
)
Index("items_by_id", items.c.id)
Index(
    "items_live_id",
    items.c.id,
    unique=True,
    sqlite_where=text("removed IS NULL"),
    postgresql_where=text("removed IS NULL"),
)
Index(
    "items_removed",
    items.c.removed,
    sqlite_where=text("removed IS NOT NULL"),
    postgresql_where=text("removed IS NOT NULL"),
)
