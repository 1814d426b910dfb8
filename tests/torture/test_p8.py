"""P8: a run that is interrupted, at any time and any number of times, ends as one that was not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.scale import LONG, say

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


def resumed(folder, kills, *plant):
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.resuming", folder, str(kills), *plant],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_p8_an_interrupted_run_ends_as_one_that_was_not(tmp_path):
    found = resumed(tmp_path / "w", 100 if LONG else 8)
    assert found["bad"] == []
    assert found["ends"] >= (8 if LONG else 2)
    say("P8", f"{found['kills']} kills in {found['ends']} runs until done, 0 other ends")


@pytest.mark.parametrize(
    ("plant", "task"),
    [("randomness_forgotten", "text-retrain"), ("staged_removals_forgotten", "text-add")],
)
def test_p8_the_harness_notices_what_is_not_put_back(tmp_path, plant, task):
    # it ends with the first that is noticed, a few kills on; which one that is, is up to the clock:
    # once, beside much other work, 80 kills all came before or after the moment that tells
    assert resumed(tmp_path / "w", 400, plant, task)["bad"]
