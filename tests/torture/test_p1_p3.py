"""P1: a kill at any step leaves a commit readable. P3: a call that fails is an error, never a loss."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.bases import make
from tests.torture.scale import LONG, say

HERE = Path(__file__).parent
_NO_THREAD = "background_thread:false"  # of the allocator in pyarrow: the harness forks
FORMER = HERE.parent / "golden" / "format-2" / "text"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler"
)


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    made = tmp_path_factory.mktemp("libc") / "faults.so"
    source = str(HERE / "libc_faults.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", made, source, "-ldl"], check=True)
    return made


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return make(tmp_path_factory.mktemp("base") / "c", "vector", 24)


def break_it(library, base, folder, verb, limit, *plant):
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.breaking", verb, base, folder, str(limit), *plant],
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
        env=os.environ | {"LD_PRELOAD": str(library), "JE_ARROW_MALLOC_CONF": _NO_THREAD},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_p1_a_kill_at_any_step_leaves_a_commit_readable(library, base, tmp_path):
    found = break_it(library, base, tmp_path / "w", "kill", 2200 if LONG else 60)
    assert found["bad"] == []
    assert found["points"] >= 200
    assert found["kills"] >= (2000 if LONG else 50)
    say("P1", f"{found['points']} kill points, {found['kills']} kills, 0 bad")


def test_p1_a_kill_while_a_former_collection_is_rewritten_leaves_it_readable(library, tmp_path):
    found = break_it(library, FORMER, tmp_path / "w", "kill:rewrite", 330 if LONG else 20)
    assert found["bad"] == []
    assert found["points"] >= 30
    assert found["kills"] >= (300 if LONG else 15)
    say("P1", f"format 2 rewritten: {found['points']} kill points, {found['kills']} kills, 0 bad")


def test_p1_the_harness_notices_left_overs_that_stay(library, base, tmp_path):
    found = break_it(library, base, tmp_path / "w", "kill", 60, "left_overs_stay")
    assert found["bad"]


def test_p3_a_call_that_fails_is_an_error_and_the_old_state_is_served(library, base, tmp_path):
    found = break_it(library, base, tmp_path / "w", "fail", 1000 if LONG else 40)
    assert found["bad"] == []
    assert found["runs"] >= (1000 if LONG else 40)
    say("P3", f"{found['runs']} runs, {found['errors']} clear errors, 0 silent successes, 0 bad")


def test_p3_a_rewriting_that_fails_is_an_error_and_the_old_state_is_served(library, tmp_path):
    found = break_it(library, FORMER, tmp_path / "w", "fail:rewrite", 1000 if LONG else 20)
    assert found["bad"] == []
    assert found["errors"] >= (100 if LONG else 2)


def test_p3_the_harness_notices_an_error_that_is_swallowed(library, base, tmp_path):
    found = break_it(library, base, tmp_path / "w", "fail", 40, "swallowed_errors")
    assert found["bad"]
