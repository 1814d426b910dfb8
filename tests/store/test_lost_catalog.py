"""A catalog that is gone or empty: codes without it are damage; an interrupted first run is none."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection
from hashret.store.layout import Layout
from indexer.cli import main
from tests.catalogs import copied
from tests.torture import writers
from tests.torture.bases import items_of, make
from tests.torture.scale import LONG

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("each_catalog")


@pytest.fixture(scope="module")
def base(tmp_path_factory, each_catalog):
    return make(tmp_path_factory.mktemp("base") / "c", "vector", 20)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    np.save(folder / "v.npy", np.stack([item.payload for item in items_of("vector", 24)]))
    recipe = {"recipe": 1, "kind": "vector", "preset": "dense", "multiples": {"epochs": 0.05}}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder / "v.npy"


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def index(source, to, *options):
    return run("index", source, "--to", to, "--bits", 16, "--device", "cpu", *options)


def data(path):
    files = [one for part in ("segments", "models") for one in (path / part).rglob("*")]
    return {one.name: one.read_bytes() for one in files if one.is_file()}


LOST = {
    "missing": lambda catalog: catalog.unlink(),
    "empty": lambda catalog: catalog.write_bytes(b""),
}


@pytest.mark.parametrize("parts", [("segments", "models"), ("segments",), ("models",)])
@pytest.mark.parametrize("how", LOST)
def test_what_has_lost_its_catalog_is_refused_by_all_but_repair(base, source, tmp_path, how, parts):
    path = copied(base, tmp_path / "c")
    LOST[how](Layout(path).catalog)
    for part in {"segments", "models"} - set(parts):
        shutil.rmtree(path / part)
    before = data(path)
    verbs = (
        *(("info",), ("query", "--id", "v-003"), ("verify",), ("list",), ("compact",)),
        *(("remove", "v-003"), ("repair",)),
    )
    for verb, *rest in verbs:
        done = run(verb, path, *rest)
        assert done.exit_code == (0 if verb == "repair" else 1), done.output
        said = "would move" if verb == "repair" else "hashret repair"
        assert said in done.output, (verb, done.output)
        assert "choose another path" not in done.output
    for options in ((), ("--dry-run",), ("--retrain", "--prune")):
        done = index(source, path, *options)
        assert done.exit_code == 1
        assert "hashret repair" in done.output
    assert data(path) == before

    done = run("repair", path, "--apply")
    assert done.exit_code == 0, done.output
    assert data(path / "damaged") == before
    done = index(source, path)
    assert done.exit_code == 0, done.output
    assert data(path / "damaged") == before
    assert run("verify", path).exit_code == 0


def test_codes_whose_tables_are_elsewhere_are_not_deleted(base, source, tmp_path):
    """An SQLite file without tables, or the address of another database: no first run made that."""
    path = copied(base, tmp_path / "c")
    layout = Layout(path)
    if layout.catalog == layout.sqlite:
        layout.sqlite.unlink()
        with sqlite3.connect(layout.sqlite) as connection:
            connection.execute("CREATE TABLE x (y)")
            connection.execute("DROP TABLE x")
        connection.close()
    else:
        record = json.loads(layout.server.read_text()) | {"schema": "hashret_" + "0" * 32}
        layout.server.write_text(json.dumps(record))
    before = data(path)
    for options in ((), ("--dry-run",)):
        assert index(source, path, *options).exit_code == 1
        assert data(path) == before


EMPTY = {
    "a catalog of no bytes": ["catalog.sqlite"],
    "an address of no bytes": ["catalog.json"],
    "both": ["catalog.sqlite", "catalog.json"],
    "folders": ["segments/", "models/"],
    "models only": ["models/"],
    "all but tables": ["segments/", "models/", "catalog.sqlite", "writer.lock", "readers.lock"],
    "a journal": ["catalog.sqlite", "catalog.sqlite-journal"],
    "half an address": ["segments/", "models/", "catalog.json.tmp"],
    "who writes": ["writer.lock", "writer.json"],
    "checkpoints": ["catalog.sqlite", "unfinished/", "unfinished/training-0.checkpoint"],
    "what a file manager leaves": [".DS_Store", "segments/", "segments/.DS_Store"],
    "a model without files": ["catalog.sqlite", "models/", "models/m000001/"],
    "half a model": [
        "catalog.sqlite",
        "models/",
        "models/m000001/",
        "models/m000001/model.json.tmp",
    ],
    "half a segment": ["catalog.sqlite", "segments/", "segments/c000001-000000000000.npy.tmp"],
    "what a repair put aside": ["damaged/", "segments/", "models/"],
}


@pytest.mark.parametrize("name", EMPTY)
def test_what_an_interrupted_first_run_leaves_is_begun_anew(source, tmp_path, name):
    path = tmp_path / "c"
    path.mkdir()
    for part in EMPTY[name]:
        (path / part).mkdir() if part.endswith("/") else (path / part).touch()
    done = run("info", path)
    assert done.exit_code == 1
    assert f"hashret index SOURCE --to {path}" in done.output
    assert index(source, path, "--dry-run").exit_code == 0
    done = index(source, path)
    assert done.exit_code == 0, done.output
    with Collection.open(path) as collection:
        assert len(collection) == 24
    assert run("verify", path).exit_code == 0


def test_a_folder_of_other_models_is_no_lost_collection(source, tmp_path):
    """What others keep in folders of these names is theirs: nobody is told to have it moved."""
    for name in ("models/bert/model.safetensors", "segments/rows.npy", "main.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"theirs")
    for done in (
        index(source, tmp_path),
        run("repair", tmp_path, "--apply"),
        run("info", tmp_path),
    ):
        assert done.exit_code == 1
        assert "hashret repair" not in done.output
    assert (tmp_path / "models" / "bert" / "model.safetensors").read_bytes() == b"theirs"


_KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from sqlalchemy import event
from sqlalchemy.engine import Engine
from indexer.ingest.writer_session import HeldCollection
HeldCollection({path!r} + "/rehearsal", "vector").close()
at = steps = 0
def step(*_):
    global steps
    steps += 1
    if steps == at:
        os.kill(os.getpid(), signal.SIGKILL)
for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
    event.listen(Engine, name, step)
CHANGES = ("os.mkdir", "os.rename", "os.remove", "open", "sqlite3.connect", "sqlite3.connect/handle")
sys.addaudithook(lambda name, args: step() if name in CHANGES else None)
status = -signal.SIGKILL
while status == -signal.SIGKILL:
    at, steps = at + 1, 0
    child = os.fork()
    if child == 0:
        HeldCollection(f"{path}/{{at:03}}", "vector").leave_nothing = False
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes to kill are forks")
def test_a_first_run_killed_while_it_makes_its_catalog_is_begun_anew(base, tmp_path):
    """Real processes, killed at every statement, file, folder, rename and connection."""
    script = _KILLED.format(root=str(ROOT), path=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    paths = sorted(path for path in tmp_path.iterdir() if path.name.isdigit())[:-1]
    assert len(paths) >= 30
    seen = set()
    for at, path in enumerate(paths):
        layout = Layout(path)
        seen.add((layout.sqlite.exists() or layout.server.exists(), layout.has_catalog))
        if at % (1 if LONG else 4):
            continue
        done = run("info", path)
        said = done.output
        assert done.exit_code == 0 or "hashret index SOURCE" in said or "schema" in said
        writers.run("index", path, base)
        with Collection.open(path) as collection:
            assert len(collection) == writers.N
    assert seen >= {(False, False), (True, True)}
