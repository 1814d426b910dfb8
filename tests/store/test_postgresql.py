"""What only a catalog on a server has: addresses, trust, two machines, a server that dies."""

import json
import os
import shutil
import socket
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import event

from hashret import Collection
from hashret.collection import verified
from hashret.errors import (
    CatalogServerError,
    CollectionError,
    DamagedError,
    DurabilityWarning,
    InputError,
    LockedError,
    MissingExtraError,
    NotACollectionError,
)
from hashret.store.catalog.address import VARIABLE, checked, remembered, without_password
from hashret.store.catalog.opening import create_catalog, open_catalog
from hashret.store.catalog.staging import Staging
from hashret.store.layout import Layout
from hashret.store.segments.stored_items import StoredItems
from indexer import Indexer
from indexer.cli import main
from tests.catalogs import connected
from tests.cutting import SOCKET
from tests.store.test_catalog import stage, visible, with_model, with_three
from tests.torture.bases import items_of, quick

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(postgresql, monkeypatch):
    """The server's address, in no variable: it has to be given."""
    monkeypatch.delenv(VARIABLE, raising=False)
    return checked(postgresql.url)


@pytest.fixture
def filled(tmp_path, url):
    return with_three(tmp_path / "c", url)


def record(layout):
    return json.loads(layout.server.read_text())


# addresses


def test_no_password_is_kept(tmp_path, url):
    secret = url.replace("hashret@", "hashret:s3cret@")
    layout = Layout.create(tmp_path / "c")
    create_catalog(layout, "text", address=secret).close()
    assert record(layout)["url"] == url
    assert "s3cret" not in layout.server.read_text()
    assert url in remembered()
    assert not any("s3cret" in line for line in remembered())


@pytest.mark.parametrize(
    "wrong",
    [
        "sqlite:///x",
        "mysql://a:s3cret@b/c",
        "postgresql+asyncpg://a:s3cret@b/c",
        "nothing",
        "postgresql+psycopg://a:s3cret@b:port/c",
        "postgresql+psycopg://a@b/c?password=s3cret",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(tmp_path, wrong):
    with pytest.raises(InputError, match="--catalog: expected") as error:
        Indexer(tmp_path / "c", "text", catalog=wrong)
    assert "s3cret" not in str(error.value)
    assert not (tmp_path / "c").exists()


def test_spellings_of_an_address():
    assert checked("postgresql://a@b/c") == "postgresql+psycopg://a@b/c"
    assert without_password("postgresql+psycopg://a:b%40@c/d") == "postgresql+psycopg://a@c/d"


def test_a_server_that_is_away_is_an_error_and_leaves_nothing(tmp_path):
    away = f"postgresql+psycopg://x:s3cret@/x?host={tmp_path}"
    with pytest.raises(CatalogServerError, match="No such file") as error:
        Indexer(tmp_path / "c", "text", catalog=away)
    assert "s3cret" not in str(error.value)
    assert not (tmp_path / "c").exists()


def test_only_an_address_that_the_user_gave_is_followed(filled, url, tmp_path, monkeypatch):
    open_catalog(filled).close()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    with pytest.raises(CollectionError, match="used before, got postgresql"):
        open_catalog(filled)
    with open_catalog(filled, address=url) as catalog:
        assert catalog.place == url
    with pytest.raises(CollectionError, match="used before"):  # reading asks for no trust
        open_catalog(filled)
    monkeypatch.setenv(VARIABLE, url)
    open_catalog(filled).close()
    monkeypatch.delenv(VARIABLE)
    open_catalog(filled, write=True, address=url).close()
    open_catalog(filled).close()


def test_a_strangers_collection_calls_nobody(filled, tmp_path, monkeypatch):
    """Neither reading nor writing: whoever listens at the recorded address hears nothing."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / SOCKET))
        listening.listen()
        listening.settimeout(0.2)
        for address in (
            f"postgresql+psycopg://a:b@/c?host={tmp_path}",
            f"postgresql://?host={tmp_path}",
        ):
            filled.server.write_text(json.dumps(record(filled) | {"url": address}))
            for write in (False, True):
                with pytest.raises(CollectionError, match="used before"):
                    open_catalog(filled, write=write)
            assert CliRunner().invoke(main, ["verify", str(filled.root)]).exit_code == 2
            assert CliRunner().invoke(main, ["repair", str(filled.root)]).exit_code == 1
        with pytest.raises(TimeoutError):
            listening.accept()


def test_a_server_that_moved_is_recorded_once_the_catalog_was_found(filled, url, tmp_path):
    another = f"{url}&application_name=moved"
    with pytest.raises(CatalogServerError):
        open_catalog(filled, write=True, address=f"postgresql://x@/x?host={tmp_path}")
    assert record(filled)["url"] == url
    with open_catalog(filled, write=True, address=another) as catalog:
        assert visible(catalog, 1) == dict.fromkeys("abc", "one")
    assert record(filled)["url"] == checked(another)
    open_catalog(filled).close()


def test_the_variable_is_for_new_collections_and_those_on_a_server(tmp_path, url, monkeypatch):
    create_catalog(Layout.create(tmp_path / "file"), "text").close()
    monkeypatch.setenv(VARIABLE, url)
    with open_catalog(Layout.find(tmp_path / "file")) as catalog:
        assert catalog.place == "sqlite"
    with pytest.raises(InputError, match="in its folder"):
        open_catalog(Layout.find(tmp_path / "file"), address=url)
    layout = Layout.create(tmp_path / "server")
    create_catalog(layout, "text").close()
    assert record(layout)["url"] == url
    assert not layout.sqlite.exists()


@pytest.mark.parametrize(
    "damage",
    [b"", b"[]", b"{}", b'{"url": 1, "schema": "x"}', b"\xff" * 9, b'{"url": "x", "schema": "y"}'],
)
def test_a_damaged_record_is_found(filled, damage):
    filled.server.write_bytes(damage)
    with pytest.raises(DamagedError, match=r"catalog\.json"):
        open_catalog(filled)


def test_a_schema_of_another_name_is_not_followed(filled):
    facts = record(filled)
    for schema in ("public", "pg_catalog", 'hashret_" OR 1=1', "hashret_" + "A" * 32):
        filled.server.write_text(json.dumps(facts | {"schema": schema}))
        with pytest.raises(DamagedError, match="schema"):
            open_catalog(filled)
    filled.server.write_text(json.dumps(facts | {"schema": "hashret_" + "0" * 32}))
    with pytest.raises(NotACollectionError, match="got none"):
        open_catalog(filled)


def test_two_catalogs_in_one_folder_are_none(filled):
    filled.sqlite.touch()
    assert Layout.find(filled.root).catalog == filled.server, "an empty file is no catalog"
    filled.sqlite.write_bytes(b"another")
    with pytest.raises(NotACollectionError, match="one catalog"):
        Layout.find(filled.root)


# what the server may hold


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE removals ADD COLUMN more int",
        "ALTER TABLE segments ALTER COLUMN files TYPE varchar",
        "CREATE TABLE more (x int)",
        "CREATE VIEW more AS SELECT 1 AS x",
        "ALTER TABLE segments RENAME TO gone",
        "ALTER TABLE meta ALTER COLUMN value TYPE text",
    ],
)
def test_other_tables_than_hashrets_are_not_believed(filled, url, monkeypatch, statement):
    monkeypatch.setenv(VARIABLE, url)
    with connected(filled.root) as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(DamagedError, match="own tables"):
        open_catalog(filled)


def test_a_view_in_place_of_a_table_is_not_believed(filled, url, monkeypatch):
    monkeypatch.setenv(VARIABLE, url)
    with connected(filled.root) as connection:
        connection.exec_driver_sql("ALTER TABLE meta RENAME TO gone")
        connection.exec_driver_sql("CREATE VIEW meta AS SELECT * FROM gone")
    with pytest.raises(DamagedError, match="own tables"):
        open_catalog(filled)


def test_a_database_that_cannot_hold_every_text_is_refused(postgresql, tmp_path, url):
    with psycopg.connect(f"user=hashret dbname=hashret host={postgresql.root}") as connection:
        connection.autocommit = True
        connection.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    with pytest.raises(CatalogServerError, match="UTF8, got one in LATIN1"):
        Indexer(tmp_path / "c", "text", catalog=url.replace("/hashret?", "/latin?"))
    assert not (tmp_path / "c").exists()


def test_many_collections_share_a_database(tmp_path, url):
    layouts = [Layout.create(tmp_path / name) for name in ("one", "two")]
    for number, layout in enumerate(layouts):
        with create_catalog(layout, "text", address=url) as catalog:
            staging = Staging(catalog)
            with_model(layout, staging)
            stage(layout, staging, ["same", f"own-{number}"], f"text {number}")
            staging.finish("m1")
    for number, layout in enumerate(layouts):
        with open_catalog(layout) as catalog:
            assert visible(catalog, 1) == dict.fromkeys(["same", f"own-{number}"], f"text {number}")


def test_a_new_collection_without_a_commit_leaves_no_schema(tmp_path, url, postgresql):
    with Indexer(tmp_path / "c", "vector", catalog=url) as indexer:
        indexer.fit(items_of("vector", 20), quick("vector"))
        schema = record(Layout(tmp_path / "c"))["schema"]
    assert not (tmp_path / "c").exists()
    with psycopg.connect(f"user=hashret dbname=hashret host={postgresql.root}") as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)
        ).fetchone()
    assert found is None


LONGEST = [
    "a" * 4096,
    "a" * 4095 + "b",
    "é" * 4096,
    "\U0001f600" * 4096,
    "a" * 512,
    "a" * 511,
    "é",
    "z",
]


def test_the_longest_ids_are_found_and_ordered_by_code_points(tmp_path, each_catalog):
    ids = [*LONGEST, "Z", "_", "a b", "a-b", "ab", "\uffff", "\U00010000"]
    layout = Layout.create(tmp_path / "c")
    with create_catalog(layout, "text") as catalog:
        for before in (set(), set(ids)):  # the second time all of them are replaced
            staging = Staging(catalog)
            assert staging.items.find(ids).keys() == before
            with_model(layout, staging)
            stage(layout, staging, ids)
            assert staging.items.find(ids).keys() == set(ids)
            commit = staging.finish("m1").commit
        items = StoredItems(layout, catalog.segments(commit))
        assert [item_id for item_id, _ in items.by_id()] == sorted(ids)
        assert items.find(ids).keys() == set(ids)
        assert items.find(["a" * 513, "\0", "\ud800"]) == {}
        assert len(visible(catalog, commit)) == len(ids)


# writers on two machines, servers that die


def other_machine(layout, tmp_path):
    """The same collection through a mount whose locks do not reach this one."""
    shutil.copytree(layout.root, tmp_path / "other mount")
    return Layout.find(tmp_path / "other mount")


@pytest.fixture
def no_grace(monkeypatch):
    monkeypatch.setattr("hashret.store.catalog.postgresql._GRACE_SECONDS", 0.0)


def test_one_writer_over_all_machines_and_it_is_named(filled, tmp_path, no_grace):
    other = other_machine(filled, tmp_path)
    with open_catalog(filled, write=True):
        with pytest.raises(LockedError, match=f"hashret writer, process {os.getpid()} on .* since"):
            open_catalog(other, write=True)
        with open_catalog(other) as reader:
            assert visible(reader, 1) == dict.fromkeys("abc", "one")
    with open_catalog(other, write=True) as catalog:
        assert catalog.last_commit().commit == 1


def test_a_writer_waits_for_one_on_another_machine(filled, tmp_path, no_grace):
    other = other_machine(filled, tmp_path)
    first = open_catalog(filled, write=True)
    timer = threading.Timer(0.5, first.close)
    timer.start()
    open_catalog(other, write=True, wait_seconds=60).close()
    timer.join()


def test_a_session_syncs_its_commits_whatever_the_server_has(filled, postgresql):
    with psycopg.connect(f"user=hashret dbname=hashret host={postgresql.root}") as connection:
        connection.execute("ALTER ROLE hashret SET synchronous_commit = off")
        connection.commit()
        try:
            with open_catalog(filled, write=True) as catalog, catalog.transaction() as session:
                assert session.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        finally:
            connection.execute("ALTER ROLE hashret RESET synchronous_commit")
    with open_catalog(filled) as catalog, catalog.transaction() as session:
        assert session.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"


def test_a_server_that_syncs_nothing_is_told_of(filled, postgresql):
    def set_fsync(value):
        with psycopg.connect(
            f"user=hashret dbname=hashret host={postgresql.root}", autocommit=True
        ) as connection:
            connection.execute(f"ALTER SYSTEM {value}")
            connection.execute("SELECT pg_reload_conf()")

    def shown():
        with psycopg.connect(f"user=hashret dbname=hashret host={postgresql.root}") as connection:
            return connection.execute("SHOW fsync").fetchone()[0]

    set_fsync("SET fsync = off")
    try:
        while shown() != "off":
            pass
        with pytest.warns(DurabilityWarning, match="fsync = on"):
            open_catalog(filled, write=True).close()
        open_catalog(filled).close()  # a reader loses nothing
    finally:
        set_fsync("RESET fsync")
    while shown() != "on":
        pass


def test_compaction_changes_no_answer(tmp_path, url):
    items = items_of("vector", 30)
    with Indexer(tmp_path / "c", "vector", catalog=url) as indexer:
        indexer.fit(items, quick("vector"))
        for part in (items[:10], items[10:20], items[20:]):
            indexer.add(part)
            indexer.commit()
        indexer.remove([items[3].id])
        indexer.commit()
    with Collection.open(tmp_path / "c") as before:
        asked = [item.payload for item in items]
        answers = before.query(asked, k=30)
        with Indexer(tmp_path / "c") as indexer:
            done = indexer.compact()
        assert (done.segments, done.dropped) == ((3, 1), 1)
        assert before.query(asked, k=30) == answers
        assert before.refresh()
        assert before.query(asked, k=30) == answers
    assert verified(tmp_path / "c").is_sound


def test_every_file_is_synced_before_a_transaction_names_it(filled, monkeypatch):
    """The server syncs its commits; what they name must be on the disk of the folder by then."""
    steps = []
    fsync = os.fsync

    def noted(descriptor):
        steps.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with open_catalog(filled, write=True) as catalog:
        event.listen(catalog.connection, "commit", lambda connection: steps.append("COMMIT"))
        staging = Staging(catalog)
        steps.clear()
        stage(filled, staging, ["d"], "two")
    segment = next(name for name in steps if name.endswith(".npy.tmp"))
    assert steps.index(segment) < steps.index("segments") < steps.index("COMMIT")


def test_without_psycopg_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"hashret\[postgresql\]"):
        Indexer(tmp_path / "c", "text", catalog="postgresql://x@y/z")
    assert not (tmp_path / "c").exists()


# passwords


@pytest.fixture
def protected(postgresql, url):
    """The address of a user with a password, which the server asks for."""
    rules = postgresql.root / "data" / "pg_hba.conf"
    before = rules.read_text()

    def tell(*statements):
        with psycopg.connect(
            f"user=hashret dbname=hashret host={postgresql.root}", autocommit=True
        ) as connection:
            for statement in statements:
                connection.execute(statement)

    rules.write_text(f"local all ann scram-sha-256\n{before}")
    tell(
        "CREATE ROLE ann LOGIN PASSWORD 's3cret'",
        "GRANT CREATE ON DATABASE hashret TO ann",
        "SELECT pg_reload_conf()",
    )
    yield url.replace("hashret@", "ann@")
    rules.write_text(before)
    tell("SELECT pg_reload_conf()", "DROP OWNED BY ann CASCADE", "DROP ROLE ann")


def test_a_password_comes_from_where_libpq_looks_or_from_an_address(
    tmp_path, protected, monkeypatch
):
    with_password = protected.replace("ann@", "ann:s3cret@")
    layout = Layout.create(tmp_path / "c")
    create_catalog(layout, "text", address=with_password).close()
    assert record(layout)["url"] == protected

    with pytest.raises(CatalogServerError, match="no password supplied"):
        open_catalog(layout)
    open_catalog(layout, address=with_password).close()
    monkeypatch.setenv(VARIABLE, with_password)
    open_catalog(layout).close()
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    open_catalog(layout).close()
    monkeypatch.setenv("PGPASSWORD", "wr0ng")
    with pytest.raises(CatalogServerError, match="authentication failed") as error:
        open_catalog(layout)
    assert "wr0ng" not in str(error.value)


def test_a_user_without_the_right_to_make_a_schema_is_told(tmp_path, protected, postgresql):
    with psycopg.connect(f"user=hashret dbname=hashret host={postgresql.root}") as connection:
        connection.execute("REVOKE CREATE ON DATABASE hashret FROM ann")
    with pytest.raises(CatalogServerError, match="permission denied"):
        Indexer(tmp_path / "c", "text", catalog=protected.replace("ann@", "ann:s3cret@"))
    assert not (tmp_path / "c").exists()


# the command line


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    assert done.exit_code == code, done.output
    return done


def test_every_verb_finds_the_catalog_that_index_was_given(tmp_path, url):
    source, to = tmp_path / "docs.jsonl", tmp_path / "c"
    lines = [
        json.dumps({"id": i.id, "text": i.payload, **i.metadata}) for i in items_of("text", 40)
    ]
    source.write_text("\n".join(lines))
    secret = url.replace("hashret@", "hashret:s3cret@")
    options = ("--to", to, "--bits", 16, "--catalog", secret)
    run("index", source, *options, "--dry-run")
    assert not to.exists()
    assert "40 items" in run("index", source, *options).stderr
    assert "40 unchanged" in run("index", source, "--to", to, "--dry-run").output
    assert json.loads(run("info", to, "--json").stdout)["catalog"] == url
    assert json.loads(run("info", to, "--json").stdout)["bytes"]["catalog"] > 0
    asked = run("query", to, "ship harbour", "-k", 3, "--codes-only")
    assert len(asked.stdout.splitlines()) == 4
    listed = run("list", to, "--where", "topic == 'sea' and year < 2010").stdout.splitlines()
    assert listed == [
        i.id
        for i in items_of("text", 40)
        if i.metadata["topic"] == "sea" and i.metadata["year"] < 2010
    ]
    run("remove", to, "sea-000")
    run("get", to, "sea-000", code=1)
    assert len(run("similar", to, "sea-004", "-k", 3).stdout.splitlines()) == 4
    run("compact", to)
    assert run("verify", to).output.startswith("sound: commit")
    assert "nothing to repair" in run("repair", to).output
    assert "s3cret" not in (to / "catalog.json").read_text()


def test_the_command_line_says_what_is_wrong_with_an_address(tmp_path, url):
    source, to = tmp_path / "docs.jsonl", tmp_path / "c"
    source.write_text("".join(f'{{"id": {i}, "text": "ship {i}"}}\n' for i in range(9)))
    options = ("--to", to, "--catalog")
    assert "--catalog: expected" in run("index", source, *options, "mysql://x/y", code=1).stderr
    away = run("index", source, *options, f"postgresql://x@/x?host={tmp_path}", code=1).stderr
    assert away.startswith(f"hashret: {to}: expected its catalog at postgresql+psycopg://")
    assert not to.exists()
    run("index", source, "--to", to)
    assert "in its folder" in run("index", source, *options, url, code=1).stderr
