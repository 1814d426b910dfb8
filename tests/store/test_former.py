"""Collections of format 2: read as they are, rewritten by a writer, whole at every moment."""

import json
import os
import secrets
import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from hashret import Collection
from hashret.collection import verified
from hashret.errors import CollectionError, DamagedError, HashretError, InputError
from hashret.store.catalog import former_tables as f
from hashret.store.catalog.address import VARIABLE
from hashret.store.catalog.opening import open_catalog
from hashret.store.catalog.records import checksum
from hashret.store.disk import files
from hashret.store.layout import Layout
from indexer import Indexer
from indexer.cli import main
from tests.catalogs import connected
from tests.conftest import each_catalog  # noqa: F401
from tests.golden.make import answers, items_of

GOLDEN = Path(__file__).parents[1] / "golden" / "format-2"
EXPECTED = json.loads((GOLDEN / "text.json").read_text("utf-8"))


def on_server(path):
    """Move the catalog of a collection to the server that new collections are made on."""
    layout, schema = Layout(path), f"hashret_{secrets.token_hex(16)}"
    engine = sa.create_engine(
        os.environ[VARIABLE],
        poolclass=sa.NullPool,
        execution_options={"schema_translate_map": {None: schema}},
    )
    with connected(path) as file, engine.begin() as server:
        server.execute(sa.schema.CreateSchema(schema))
        f.metadata.create_all(server)
        for table in f.metadata.sorted_tables:
            rows = [row._asdict() for row in file.execute(sa.select(table))]
            server.execute(table.insert(), rows)
    layout.sqlite.unlink()
    layout.server.write_text(json.dumps({"url": os.environ[VARIABLE], "schema": schema}))


@pytest.fixture
def path(tmp_path):
    return Path(shutil.copytree(GOLDEN / "text", tmp_path / "c"))


@pytest.fixture
def anywhere(path, each_catalog):  # noqa: F811
    """The same, with its catalog in either place."""
    if each_catalog == "postgresql":
        on_server(path)
    return path


def format_of(path):
    with connected(path) as connection:
        return connection.exec_driver_sql("SELECT value FROM meta WHERE key = 'format'").scalar()


def says_as_it_did(path):
    return json.loads(json.dumps(answers(path, "text"))) == EXPECTED


def sign(path, table, **where):
    """Give rows the checksum that hashret would have given them."""
    t = f.metadata.tables[table]
    with connected(path) as connection:
        query = sa.select(t).where(*(t.c[name] == value for name, value in where.items()))
        for row in connection.execute(query).all():
            covered = (*row[:5], row.added) if table == "items" else row[:-1]
            key = t.primary_key.columns.values()[0]
            connection.execute(
                t.update().where(key == row._mapping[key]).values(checksum=checksum(*covered))
            )


def test_reading_leaves_every_byte_as_it_is(path, tmp_path):
    before = sorted((p, p.read_bytes()) for p in path.rglob("*") if p.is_file())
    assert says_as_it_did(path)
    assert verified(path).is_sound
    with Collection.open(path) as collection:
        assert len(list(collection.items(where="topic == 'sea'"))) == 6
        assert len(collection.query("ship", rerank=12)) == 10
        assert "sea-004" in collection
        assert "gone" not in collection
        assert not collection.refresh()
    (tmp_path / "a.txt").write_text("a ship in a storm")
    source = str(tmp_path / "a.txt")
    run = CliRunner().invoke(main, ["index", source, "--to", str(path), "--dry-run"])
    assert run.exit_code == 0, run.output
    assert before == sorted((p, p.read_bytes()) for p in path.rglob("*") if p.is_file())


def test_an_earlier_commit_opens(path):
    with Collection.open(path, commit=1) as collection:
        assert len(collection) == 20
        assert items_of("text")[3].id in collection
    with pytest.raises(CollectionError, match="up to 2"):
        Collection.open(path, commit=3)


def test_compact_rewrites_and_says_so(anywhere):
    assert says_as_it_did(anywhere)
    run = CliRunner().invoke(main, ["compact", str(anywhere)])
    assert run.exit_code == 0, run.output
    assert "rewritten from format 2 to 3" in run.stderr
    assert format_of(anywhere) == "3"
    assert says_as_it_did(anywhere)
    assert verified(anywhere).is_sound
    with connected(anywhere) as connection:
        assert "items" not in sa.inspect(connection).get_table_names()
    again = CliRunner().invoke(main, ["compact", str(anywhere)])
    assert "rewritten" not in again.stderr


def test_the_next_write_rewrites_and_says_so(anywhere):
    notes = []
    with Indexer(anywhere, on_note=notes.append) as indexer:
        tally = indexer.add(items_of("text"))
        assert (tally.unchanged, tally.added) == (23, 1)
        assert indexer.commit().commit == 3
    assert ["format 2 to 3" in note for note in notes] == [True]
    assert verified(anywhere).is_sound
    with Collection.open(anywhere) as collection:
        assert len(collection) == 24
        assert collection.get("sea-000").text is None


def test_texts_are_kept_of_what_comes_later_if_asked_for(path):
    item = items_of("text")[3]
    with Indexer(path, store_text=True) as indexer:
        indexer.add([item])
        indexer.commit()
        indexer.compact()
    with Collection.open(path) as collection:
        assert collection.get(item.id).text == item.payload
        assert collection.get("sea-000").text is None
    assert verified(path).is_sound


def test_who_has_it_open_goes_on_and_moves_when_asked(anywhere):
    with Collection.open(anywhere) as reader, Collection.open(anywhere, commit=1) as earlier:
        found = list(reader.query("ship sail", rerank=12))
        was = [hit.id for hit in earlier.query("ship sail", 5)]
        Indexer(anywhere).close()
        assert format_of(anywhere) == "3"
        assert list(reader.query("ship sail", rerank=12)) == found
        assert [hit.id for hit in earlier.query("ship sail", 5)] == was
        assert reader.refresh()
        assert list(reader.query("ship sail", rerank=12)) == found
        with Indexer(anywhere) as indexer:
            indexer.remove([found[0].id])
            indexer.commit()
        assert reader.refresh()
        assert found[0].id not in reader


def test_another_kind_is_refused_before_anything_is_rewritten(path):
    with pytest.raises(InputError, match="kind"):
        Indexer(path, "vector")
    assert format_of(path) == "2"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE items SET preview = 'x' WHERE row = 5",
        "UPDATE items SET id = 'x' WHERE row = 5",
        "UPDATE items SET content_hash = zeroblob(32) WHERE row = 5",
        "UPDATE items SET row = 90 WHERE row = 5",
        "UPDATE items SET removed = 2 WHERE row = 5",
        "UPDATE items SET removed = NULL WHERE row = 3",
        "DELETE FROM items WHERE row = 5",
        "UPDATE items SET metadata = '{' WHERE row = 5",
        "UPDATE segments SET n_rows = 19 WHERE first_row = 0",
        "UPDATE commits SET n_items = 22",
        "UPDATE meta SET value = 'image' WHERE key = 'kind'",
        "CREATE TABLE others (x)",
    ],
)
def test_a_damaged_catalog_is_named_and_left_alone(path, damage):
    with connected(path) as connection:
        assert connection.exec_driver_sql(damage) is not None
    before = (path / "catalog.sqlite").read_bytes()
    for open_ in (Collection.open, Indexer):
        with pytest.raises(DamagedError):
            open_(path)
    assert not verified(path).is_sound
    assert (path / "catalog.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("segments", "UPDATE segments SET n_rows = 1 << 40 WHERE first_row = 20"),
        ("segments", "UPDATE segments SET first_row = 5 WHERE first_row = 20"),
        ("segments", "UPDATE segments SET name = '../../x' WHERE first_row = 20"),
        ("items", "UPDATE items SET metadata = '[' WHERE row = 5"),
        ("items", "UPDATE items SET content_hash = x'00' WHERE row = 5"),
        ("items", "UPDATE items SET preview = x'ff' WHERE row = 5"),
    ],
)
def test_a_strangers_catalog_with_sound_checksums_is_refused(path, table, change):
    with connected(path) as connection:
        connection.exec_driver_sql(change)
    sign(path, table)
    with pytest.raises(DamagedError):
        Collection.open(path)


def test_damaged_codes_are_named_after_it_too(path):
    codes = path / "segments" / "c000002-000000000020.npy"
    codes.write_bytes(codes.read_bytes()[:-1] + b"\0")
    (path / "segments" / "c000001-000000000000.safetensors").unlink()
    Indexer(path).close()
    assert format_of(path) == "3"
    named = {damage.path for damage in verified(path).damages}
    assert named == {
        "segments/c000002-000000000020.npy",
        "segments/c000001-000000000000.safetensors",
    }


METADATA = [
    {"n": 1, "big": 2**70, "x": 1.5, "s": "a", "b": True, "none": None},
    {"n": "one", "nested": {"a": [1, {"b": None}]}, "S": 3, "s": "\ud800", "": 1},
    {"n": [1, 2], "big": -(2**63), "x": 2, "b": 0},
]


def test_metadata_of_every_type_is_the_same_before_and_after(path):
    ids = ["sea-004", "sea-008", "sea-012"]
    for item_id, metadata in zip(ids, METADATA, strict=True):
        with connected(path) as connection:
            given = {"text": json.dumps(metadata, sort_keys=True), "id": item_id}
            connection.execute(sa.text("UPDATE items SET metadata = :text WHERE id = :id"), given)
        sign(path, "items", id=item_id)
    for rewritten in (False, True):
        if rewritten:
            Indexer(path).close()
        with Collection.open(path) as collection:
            assert [collection.get(item_id).metadata for item_id in ids] == METADATA
            assert [i.id for i in collection.items(where="n == 'one'")] == [ids[1]]
            assert [i.id for i in collection.items(where=f"big == {2**70}")] == [ids[0]]


def added_segment(path, name, *, added, removed):
    """A segment of four more rows, as a writer of then had written and replaced or staged it."""
    former = path / "segments" / "c000002-000000000020.npy"
    shutil.copy(former, path / "segments" / f"{name}.npy")
    with connected(path) as connection:
        s = f.segments
        row = connection.execute(sa.select(s).where(s.c.first_row == 20)).one()._asdict()
        row |= {"name": name, "first_row": 24, "added": added, "removed": removed}
        row |= {"features_size": None, "features_sha256": None}
        connection.execute(s.insert().values(row))
    sign(path, "segments", name=name)
    return path / "segments" / f"{name}.npy"


def test_what_only_an_earlier_commit_shows_stays_while_it_is_read(path):
    gone = added_segment(path, "c000001-000000000024", added=1, removed=2)
    Layout(path).readers.touch()  # as a writer leaves it
    with Collection.open(path, commit=1) as reader:
        with Indexer(path) as indexer:
            indexer.remove(["sea-004"])
            indexer.commit()
            indexer.compact()
        assert gone.exists()
        assert "sea-004" in reader
    with Indexer(path) as indexer:
        indexer.compact()
    assert not gone.exists()
    assert verified(path).is_sound


def test_what_was_staged_is_not_taken_over(path):
    staged = added_segment(path, "c000003-000000000099", added=3, removed=None)
    with Indexer(path, resume=True) as indexer:
        indexer.add(items_of("text"))
        indexer.commit()
    assert not staged.exists()
    with Collection.open(path) as collection:
        assert len(collection) == 24


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_at_any_step_leaves_it_readable(path, call, monkeypatch):
    step = at = 0

    def failing(owner):
        honest = getattr(owner, call)

        def strike(*arguments):
            nonlocal step
            step += 1
            if step == at:
                raise OSError(28, "No space left on device")
            return honest(*arguments)

        return strike

    owner = files.os if call == "fsync" else Path
    for at in range(1, 40):
        fresh = Path(shutil.copytree(path, path.with_name(f"c{at}")))
        step = 0
        with monkeypatch.context() as patch:
            patch.setattr(owner, call, failing(owner))
            try:
                Indexer(fresh).close()
            except HashretError:
                assert step == at
        if step < at:
            break
        assert says_as_it_did(fresh)
        Indexer(fresh).close()
        assert format_of(fresh) == "3"
        assert says_as_it_did(fresh)
    assert 2 <= step < at


def test_a_file_that_stands_where_the_new_catalog_is_written_is_no_hindrance(path, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"private")
    Layout(path).new_sqlite.symlink_to(outside)
    Indexer(path).close()
    assert outside.read_bytes() == b"private"
    assert format_of(path) == "3"
    assert says_as_it_did(path)


def test_the_catalog_of_a_reader_can_be_asked_without_reading_an_item(path):
    connection = sqlite3.connect(path / "catalog.sqlite")
    connection.execute("UPDATE items SET preview = 'x'")
    connection.commit()
    connection.close()
    with open_catalog(Layout.find(path)) as catalog:
        assert (catalog.kind, catalog.last_commit().n_items) == ("text", 23)
        with pytest.raises(DamagedError):
            catalog.items_of(catalog.last_commit())
