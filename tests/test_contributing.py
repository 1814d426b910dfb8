"""The contributor's path: how many code files an addition touches, counted by making it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: A made-up format of documents: each line is written backwards, after a line that names it.
BACKWARDS = """
from indexer.corpus.extract import Document
from hashret.workers.refusals import Refused

def extract(data, decode):
    found = decode(data, "")
    first, _, rest = found.text.partition("\\n")
    if first != "BACKWARDS":
        raise Refused("not-text", "expected a line BACKWARDS")
    return Document.plain(found, "\\n".join(line[::-1] for line in rest.splitlines()))
"""
USES = """
import json
from pathlib import Path
from indexer import corpus
from indexer.cli import payloads

folder = Path("notes")
found = list(corpus.read([folder, folder / "a.back", Path("table.jsonl")], "text", workers=2))
print(json.dumps({
    "kind": corpus.infer_kind([folder]),
    "items": [one.payload for one in found if not isinstance(one, corpus.Skipped)],
    "refused": [[one.id, one.error_class] for one in found if isinstance(one, corpus.Skipped)],
    "asked": payloads.payload_of("text", None, folder / "a.back"),
}))
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of both packages, and a way to run a script with it that says what it printed."""
    for package in ("hashret", "indexer"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=leave)

    def run(script):
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stderr
        return done.stdout

    return tmp_path, run


def touched(checkout):
    """The files of the packages that are not as they are here."""
    return sorted(
        path.relative_to(checkout).as_posix()
        for package in ("hashret", "indexer")
        for path in (checkout / package).rglob("*.py")
        if not (ROOT / path.relative_to(checkout)).exists()
        or path.read_bytes() != (ROOT / path.relative_to(checkout)).read_bytes()
    )


def test_a_new_file_type_touches_two_code_files(checkout):
    place, run = checkout
    room = place / "indexer" / "corpus" / "extract"
    (room / "backwards.py").write_text(BACKWARDS)
    table = (room / "__init__.py").read_text()
    row = '    ".back": Format("indexer.corpus.extract.backwards:extract"),\n'
    (room / "__init__.py").write_text(table.replace('    ".txt":', row + '    ".txt":'))
    assert touched(place) == [
        "indexer/corpus/extract/__init__.py",
        "indexer/corpus/extract/backwards.py",
    ]

    notes = place / "notes"
    notes.mkdir()
    (notes / "a.back").write_text("BACKWARDS\nsdrow\n")
    (notes / "B.BACK").write_text("no such line\n")
    (place / "table.jsonl").write_text('{"path": "notes/a.back"}\n')
    assert json.loads(run(USES)) == {
        "kind": "text",
        "items": ["words"] * 3,
        "refused": [["B.BACK", "not-text"]],
        "asked": "words",
    }


SECOND = '''
from hashret.indexes.scan import ScanIndex


class SecondScan(ScanIndex):
    """A scan that says that it takes no time."""

    name = "second"

    @classmethod
    def expected(cls, call, size, costs, seen):
        return 1.0
'''
ASKS = """
import json
import numpy as np
from hashret.codes import Codes
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.scan import ScanIndex

codes = Codes(np.random.default_rng(0).integers(0, 256, (500, 8)).astype(np.uint8))
planned, plain = PlannedIndex(codes), ScanIndex(codes)
paths = set()
for _ in range(200):
    found, true = planned.search(codes[:50], 5), plain.search(codes[:50], 5)
    assert (found.rows == true.rows).all()
    paths |= set(found.work.path.split(" + "))
print(json.dumps(sorted(paths)))
"""


def test_a_new_index_for_the_planner_touches_its_own_file_and_a_row(checkout):
    place, run = checkout
    room = place / "hashret" / "indexes"
    (room / "second.py").write_text(SECOND)
    base = (room / "base.py").read_text()
    row = '    "second": "hashret.indexes.second:SecondScan",\n'
    base = base.replace('    "scan": "', row + '    "scan": "')
    (room / "base.py").write_text(
        base.replace('PLANNED = ("scan", ', 'PLANNED = ("scan", "second", ')
    )
    # compiled, it would have a kernel in `kernels/` besides
    assert touched(place) == ["hashret/indexes/base.py", "hashret/indexes/second.py"]
    assert "second" in json.loads(run(ASKS))
