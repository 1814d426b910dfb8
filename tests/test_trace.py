"""The way of a query through the packages, traced in a process of its own: short, and known."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden" / "format-3" / "text"

#: Runs `hashret` with these arguments and writes, as JSON on standard error: the files of the
#: packages in which functions ran (not while modules were imported); for each answer of a path of
#: the planner, how many frames of hashret stand between it and `Collection.ask`, which the command
#: line calls, and between it and `Collection.query` as many; what was imported.
SCRIPT = """
import json, sys
from pathlib import Path
import hashret
from indexer.cli import main
root = str(Path(hashret.__file__).parent.parent) + "/"
paths = ["scan", "clusters", "faiss_binary", "table/index", "multi_index/index"]
paths = [f"hashret/indexes/{path}.py" for path in paths]
files, depths, importing = set(), [], 0

def answers(code):
    file = code.co_filename.removeprefix(root)
    return file in paths and code.co_name in ("search", "within", "look_up")

def trace(frame, event, argument):
    global importing
    code = frame.f_code
    if code.co_name == "<module>":
        importing += {"call": 1, "return": -1}.get(event, 0)
    elif event == "call" and not importing:
        path = code.co_filename.removeprefix(root)
        if path.startswith(("hashret/", "indexer/")):
            files.add(path)
        if answers(code):
            between = []
            while (frame := frame.f_back) and frame.f_code.co_name != "ask":
                between.append(frame.f_code)
            if not any(map(answers, between)):  # else one path leaves queries to another
                depths.append(sum(code.co_filename.startswith(root) for code in between))

sys.setprofile(trace)
try:
    main(sys.argv[1:], standalone_mode=False)
finally:
    sys.setprofile(None)
    print(json.dumps([sorted(files), depths, sorted(sys.modules)]), file=sys.stderr)
"""


def traced(*arguments: object) -> tuple[set[str], list[int], set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout
    files, depths, modules = json.loads(done.stderr.splitlines()[-1])
    return set(files), depths, set(modules)


@pytest.mark.parametrize(
    ("options", "n_frames", "n_files"),
    # a question in words is also decided on, and answered from words; hits show their texts
    [(["--codes-only"], 6, 57), ([], 8, 61)],
)
def test_a_cold_query_takes_a_short_way(options, n_frames, n_files):
    files, depths, modules = traced("query", GOLDEN, "a ship in a storm", "-k", 3, *options)
    assert depths
    assert max(depths) <= n_frames
    # what Python 3.12 has itself does not count
    assert len(files - {"hashret/_backports.py"}) <= n_files, sorted(files)
    writing = {m for m in modules if m.startswith("indexer.")} - {"indexer.cli"}
    assert not writing
    assert not {"rich", "numpy.ma"} & modules


def test_a_cold_query_seeks_cycles_of_objects_rarely():
    collections = "sum(one['collections'] for one in gc.get_stats())"
    script = (
        f"import atexit, gc, sys; from indexer.cli import main; began = {collections}\n"
        f"atexit.register(lambda: print({collections} - began, gc.isenabled(), file=sys.stderr))\n"
        "main()"
    )
    query = [sys.executable, "-c", script, "query", str(GOLDEN), "a ship in a storm"]
    done = subprocess.run(query, capture_output=True, text=True, check=True)
    n, enabled = done.stderr.split()[-2:]
    assert int(n) < 20  # with Python's own threshold 130
    assert enabled == "False"  # so that the last search, at the very end, is left out


def test_a_query_that_the_planner_thinks_about_takes_no_long_way_either(tmp_path):
    batch = tmp_path / "queries.jsonl"
    batch.write_text("".join(json.dumps({"text": "a ship in a storm"}) + "\n" for _ in range(50)))
    for options in ([], ["--radius", 12], ["--where", "year > 2000"]):
        by_codes = [] if "--radius" in options else ["--codes-only"]
        _, depths, _ = traced("query", GOLDEN, "--batch", batch, *options, *by_codes)
        assert depths
        assert max(depths) <= 6


@pytest.mark.parametrize("arguments", [["--help"], ["info", GOLDEN], ["list", GOLDEN]])
def test_reading_imports_nothing_that_writes(arguments):
    _, _, modules = traced(*arguments)
    assert not {m for m in modules if m.startswith("indexer.")} - {"indexer.cli"}
    if arguments == ["--help"]:
        assert "numpy" not in modules


@pytest.mark.parametrize("index", ["auto", "faiss-flat", "faiss-hnsw"])
def test_no_deprecation_of_a_library_reaches_the_user(index):
    command = "from indexer.cli import main; main()"
    run = [sys.executable, "-W", "error::DeprecationWarning", "-c", command]
    query = ["query", str(GOLDEN), "a ship in a storm", "-k", "3", "--index", index]
    done = subprocess.run([*run, *query], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    approximate = index == "faiss-hnsw"  # which is said there
    assert [line[:11] for line in done.stderr.splitlines()] == ["approximate"] * approximate
