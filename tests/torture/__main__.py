"""The long form of every promise's harness: ``python -m tests.torture``, as `make torture` does.

With names of files only those; with ``--short`` the short forms, as `make test` runs them, unrecorded.
Runs each file of tests as a process of its own, as many at once as there are cores, and writes
what came of each to ``docs/torture.json`` and, as a table, into ``SECURITY.md``: for every file its last
run. Ends with 1 if a promise was broken, or if a harness did not notice a fault that was planted.
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
        "date": datetime.now(UTC).date().isoformat(),
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


def table(runs: list[dict[str, Any]]) -> str:
    """The last run of each file, for people."""
    lines = ["| | figures | run |", "|---|---|---|"]
    figures: dict[str, list[str]] = {}
    where: dict[str, list[str]] = {}
    for run in runs:
        for promise, said in run["figures"]:
            figures.setdefault(promise, []).append(said)
            at = f"{run['date']}, {run['commit']}"
            if at not in where.setdefault(promise, []):
                where[promise].append(at)
    for promise in sorted(figures, key=lambda name: int(name[1:])):
        lines.append(f"| {promise} | {'; '.join(figures[promise])} | {'; '.join(where[promise])} |")
    broken = [run["file"] for run in runs if not run["kept"]]
    minutes = round(sum(run["seconds"] for run in runs) / 60)
    systems = sorted({f"Python {run['python']}, {run['cores']} cores" for run in runs})
    lines.append("")
    lines.append(
        f"Broken: {', '.join(broken) if broken else 'none'}. One by one the files took {minutes} minutes; "
        f"as many run side by side as there are cores ({'; '.join(systems)})."
    )
    return "\n".join(lines)


def recorded(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last run of each file in their order, `runs` and those of former records."""
    last = (
        {run["file"]: run for run in json.loads(SUMMARY.read_text("utf-8"))}
        if SUMMARY.exists()
        else {}
    )
    last |= {run["file"]: run for run in runs}
    return [last[file] for file in FILES if file in last]


def main(arguments: list[str]) -> int:
    """Run, write, and give the exit status."""
    form = "short" if "--short" in arguments else "long"
    files = [name for name in arguments if name != "--short"] or list(FILES)
    if unknown := set(files) - set(FILES):
        raise SystemExit(f"files: expected some of {', '.join(FILES)}, got {', '.join(unknown)}")
    here = {"commit": commit(), "python": platform.python_version()}
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(min(cores, 4)) as pool:
        found = list(pool.map(lambda file: tortured(file, Path(folder), form), files))
    runs = [run | here | {"cores": cores} for run in found]
    if form == "long":
        runs_of_all = recorded(runs)
        text = json.dumps(runs_of_all, indent=1, ensure_ascii=False)
        SUMMARY.write_text(text + "\n", "utf-8")
        page = PAGE.read_text("utf-8")
        start, stop = page.index(BEGIN) + len(BEGIN), page.index(END)
        PAGE.write_text(f"{page[:start]}\n{table(runs_of_all)}\n{page[stop:]}", "utf-8")
    return 0 if all(run["kept"] for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
