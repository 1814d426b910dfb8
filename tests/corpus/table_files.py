"""The same rows as tables of every form, compressed or not."""

import bz2
import csv
import gzip
import io
import json
import lzma
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import feather

from hashret.items import Item
from indexer import corpus
from indexer.corpus import Reading, Skipped


def zst(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zst,
}


def jsonl(table: list[dict]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in table).encode()


def json_text(table: list[dict]) -> bytes:
    return json.dumps(table, ensure_ascii=False, indent=len(table) % 3 or None).encode()


def csv_text(table: list[dict], delimiter: str = ",") -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(
        stream, list(table[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL, restval=""
    )
    writer.writeheader()
    writer.writerows(table)
    return stream.getvalue().encode()


def parquet(table: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(table), sink, row_group_size=2)
    return sink.getvalue().to_pybytes()


def arrow_file(table: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    feather.write_feather(pa.Table.from_pylist(table), sink)
    return sink.getvalue().to_pybytes()


def arrow_stream(table: list[dict]) -> bytes:
    sink = pa.BufferOutputStream()
    found = pa.Table.from_pylist(table)
    with pa.ipc.new_stream(sink, found.schema) as stream:
        stream.write_table(found, max_chunksize=2)
    return sink.getvalue().to_pybytes()


def database(table: list[dict], name: str = "posts") -> bytes:
    connection = sqlite3.connect(":memory:")
    columns = list(table[0])
    quoted = ", ".join(f'"{column}"' for column in columns)
    connection.execute(f'CREATE TABLE "{name}" ({quoted})')
    marks = ", ".join("?" * len(columns))
    insert = f'INSERT INTO "{name}" VALUES ({marks})'  # noqa: S608 - a test's own
    connection.executemany(insert, [[row.get(c) for c in columns] for row in table])
    connection.commit()
    return connection.serialize()


FORMS = {
    "t.jsonl": jsonl,
    "t.ndjson": jsonl,
    "t.json": json_text,
    "lines.json": jsonl,
    "t.csv": csv_text,
    "t.tsv": lambda table: csv_text(table, "\t"),
    "t.parquet": parquet,
    "t.feather": arrow_file,
    "t.ipc": arrow_file,
    "t.arrow": arrow_stream,
    "t.sqlite": database,
    "t.sqlite3": database,
    "t.db": database,
}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def read(path: Path, how: Reading | None = None) -> list[Item | Skipped]:
    return list(corpus.read([path], "text", how))
