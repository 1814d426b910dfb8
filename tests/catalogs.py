"""Collections whose catalog is on a server, and tests that must not notice."""

import json
import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from hashret.store.catalog import tables as t
from hashret.store.catalog.address import VARIABLE
from hashret.store.layout import Layout


@contextmanager
def connected(path):
    """A connection to the catalog of a collection, past hashret; committed at the end."""
    layout = Layout(Path(path))
    if not layout.server.is_file():
        engine = sa.create_engine(f"sqlite:///{layout.sqlite}", poolclass=sa.NullPool)
    else:
        schema = json.loads(layout.server.read_text())["schema"]
        engine = sa.create_engine(
            os.environ[VARIABLE],
            poolclass=sa.NullPool,
            connect_args={"options": f"-c search_path={schema}"},
        )
    with engine.begin() as connection:
        yield connection


def change(path, statement):
    """Change the catalog behind hashret's back; the statement must hit a row."""
    with connected(path) as connection:
        assert connection.exec_driver_sql(statement).rowcount > 0


def copied(path, to):
    """A copy of a collection that can be changed: of its folder, and of its schema on a server."""
    shutil.copytree(path, to)
    layout = Layout(Path(to))
    if layout.server.is_file():
        record = json.loads(layout.server.read_text())
        old, record["schema"] = record["schema"], f"hashret_{secrets.token_hex(16)}"
        layout.server.write_text(json.dumps(record))
        engine = sa.create_engine(
            os.environ[VARIABLE],
            poolclass=sa.NullPool,
            execution_options={"schema_translate_map": {None: record["schema"]}},
        )
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(record["schema"]))
            t.metadata.create_all(connection)
            for table in t.metadata.sorted_tables:
                columns = ", ".join(f'"{column.name}"' for column in table.columns)
                connection.exec_driver_sql(
                    f"INSERT INTO {record['schema']}.{table.name} ({columns}) "  # noqa: S608
                    f"SELECT {columns} FROM {old}.{table.name}"
                )
    return to
