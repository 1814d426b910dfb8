"""The catalog's tables: which segments, models and removed rows make up which commit.

A segment is visible at commit c if added <= c and not removed by c; a removal if added <= c. Items
are columns of their segment (`hashret.store.segments.record_schema`), so the tables stay small.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
)
from sqlalchemy import Integer as _Integer
from sqlalchemy import String as _String
from sqlalchemy import Text as _Text

# SQLite's integers have 64 bits, its texts are ordered by code points; PostgreSQL is told so.
Integer = _Integer().with_variant(BigInteger(), "postgresql")
String = _String().with_variant(_String(collation="C"), "postgresql")
Text = _Text().with_variant(_Text(collation="C"), "postgresql")

FORMAT_VERSION = 3

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
    Column("n_uncoded", Integer, nullable=False),  # of these, the items without a code
    Column("model", String, nullable=False),  # "" before anything was learned
    Column("state", BigInteger, nullable=False),  # over the visible segments and removed rows
    Column("checksum", BigInteger, nullable=False),
)

segments = Table(
    "segments",
    metadata,
    Column("name", String, primary_key=True),
    Column("first_row", Integer, nullable=False),
    Column("n_rows", Integer, nullable=False),
    Column("n_coded", Integer, nullable=False),
    Column("n_bits", Integer, nullable=False),
    Column("model", String, nullable=False),
    Column("files", Text, nullable=False),  # JSON: part -> [size, sha256, blocks in base64]
    Column("added", Integer, nullable=False),
    Column("removed", Integer),
    Column("checksum", BigInteger, nullable=False),
)

#: Rows that a commit hid. One of several of a commit for one segment says which segment replaced
#: its rows, so that a run that goes on after an interruption knows why they are gone.
removals = Table(
    "removals",
    metadata,
    Column("segment", String, nullable=False),
    Column("added", Integer, nullable=False),
    Column("cause", String, nullable=False),  # the segment with their new versions, or ""
    Column("rows", LargeBinary, nullable=False),  # counted from the segment's first, uint32
    Column("checksum", BigInteger, nullable=False),
    PrimaryKeyConstraint("segment", "added", "cause"),
)
