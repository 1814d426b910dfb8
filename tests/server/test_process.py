"""`hashret serve` as a process: it says where it is, answers, and stops when it is told to."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from indexer.cli import main

COMMAND = [sys.executable, "-c", "from indexer.cli import main; main()", "serve"]
SERVING = r"^serving texts \(80 texts, 16 bits, commit 1\) at (http://127\.0\.0\.1:\d+/)$"


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_until_a_signal(folder, ended_by):
    running = subprocess.Popen(
        [*COMMAND, str(folder / "texts"), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = running.stdout.readline()
        (url,) = re.findall(SERVING, line) or [running.stderr.read()]
        with httpx.Client(base_url=url, timeout=20) as client:
            told = client.post("/v1/query", json={"id": "notes/sea-000", "k": 1}).json()
            assert told["hits"][0]["id"] == "notes/sea-000"
            assert "server" not in client.get("/healthz").headers
            assert 'route="/v1/query",status="200"} 1' in client.get("/metrics").text
        running.send_signal(ended_by)
        out, err = running.communicate(timeout=20)
        assert (running.returncode, out, err) == (0, "", "")
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--host", "0.0.0.0"], 2, "expected a token"),  # noqa: S104
        (["--host", "192.0.2.7", "--token", "a b"], 2, "--token: expected printable"),
        (["--token", ""], 2, "--token: expected printable"),
        (["--host", "192.0.2.7", "--insecure"], 1, "warning: --insecure: everybody"),
        (["--host", "no.such.invalid", "--token", "x"], 1, "hashret: "),
    ],
)
def test_what_is_refused_before_anything_listens(folder, arguments, status, said):
    """192.0.2.7 is an address for documentation, which no machine has."""
    done = CliRunner().invoke(main, ["serve", str(folder / "texts"), *arguments])
    assert (done.exit_code, said in done.output) == (status, True), done.output


def test_collections_need_names_of_their_own(folder):
    done = CliRunner().invoke(main, ["serve", str(folder / "texts"), str(folder / "texts")])
    assert (done.exit_code, "called 'texts'" in done.output) == (2, True)
    done = CliRunner().invoke(main, ["serve", str(Path(folder) / "none")])
    assert done.exit_code == 1
