"""The long form of every promise's harness: ``python -m tests.torture``, as `make torture` does.

With ``--short`` the short forms, as `make test` runs them; with names of files only those, unrecorded.
Runs each file of tests as a process of its own, as many at once as there are cores, and writes
what came of it to ``docs/torture.json`` and, as a table, into ``SECURITY.md``. Ends with 1 if a
promise was broken, or if a harness did not notice a fault that was planted.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.torture.scale import RECORD

ROOT = Path(__file__).parents[2]
SUMMARY = ROOT / "docs" / "torture.json"
PAGE = ROOT / "SECURITY.md"
BEGIN, END = "<!-- last run -->", "<!-- end of the last run -->"
#: The longest first, so that the last of them does not run alone for long.
FILES = (
    *("tests/torture/test_p2.py", "tests/torture/test_p4.py", "tests/torture/test_p1_p3.py"),
    *("tests/torture/test_p8.py", "tests/torture/test_p6.py", "tests/torture/test_p7.py"),
    *("tests/torture/test_p9_p10.py", "tests/torture/test_p11.py", "tests/torture/test_p12.py"),
    *("tests/golden/test_p13.py", "tests/store/test_soundness.py"),
)
_COUNTS = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")


def tortured(file: str, folder: Path, form: str) -> dict[str, Any]:
    """One file of tests in its long or short form: its outcome, its figures, its time."""
    record = folder / f"{Path(file).stem}.jsonl"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-o", "addopts=", file],
        cwd=ROOT,
        env=os.environ | {"HASHRET_TORTURE": form, RECORD: str(record)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    said = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    sys.stdout.write(f"{file}: {last}\n" if done.returncode == 0 else done.stdout + done.stderr)
    sys.stdout.flush()
    return {
        "file": file,
        "kept": done.returncode == 0,
        "tests": {what: int(n) for n, what in _COUNTS.findall(last)},
        "seconds": round(seconds),
        "figures": [json.loads(line) for line in said],
    }


def commit() -> str:
    """The commit that is tested, with "+" where files differ from it; empty outside git."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    changed = subprocess.run(
        [*git, "status", "--porcelain"], capture_output=True, text=True, check=False
    )
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def table(summary: dict[str, Any]) -> str:
    """The summary for people."""
    minutes = round(summary["seconds"] / 60)
    how = f"Python {summary['python']}, {summary['cores']} cores, {minutes} minutes"
    lines = [
        f"{summary['date']}, {summary['form']} forms, commit {summary['commit']}, {how}.",
        "",
        "| | figures |",
        "|---|---|",
    ]
    figures: dict[str, list[str]] = {}
    for run in summary["runs"]:
        for promise, said in run["figures"]:
            figures.setdefault(promise, []).append(said)
    for promise in sorted(figures, key=lambda name: int(name[1:])):
        lines.append(f"| {promise} | {'; '.join(figures[promise])} |")
    broken = [run["file"] for run in summary["runs"] if not run["kept"]]
    lines += ["", f"Broken: {', '.join(broken) if broken else 'none'}."]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Run, write, and give the exit status."""
    form = "short" if "--short" in arguments else "long"
    files = [name for name in arguments if name != "--short"]
    began = time.monotonic()
    at_start = commit()
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(min(cores, 4)) as pool:
        runs = list(pool.map(lambda file: tortured(file, Path(folder), form), files or FILES))
    summary = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": at_start,
        "form": form,
        "python": platform.python_version(),
        "cores": cores,
        "seconds": round(time.monotonic() - began),
        "runs": runs,
    }
    if not files:  # a part of it is no record
        SUMMARY.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8")
        page = PAGE.read_text("utf-8")
        start, stop = page.index(BEGIN) + len(BEGIN), page.index(END)
        PAGE.write_text(f"{page[:start]}\n{table(summary)}\n{page[stop:]}", "utf-8")
    return 0 if all(run["kept"] for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
