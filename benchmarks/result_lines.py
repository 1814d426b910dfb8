"""Results as JSON lines: each figure is on disk once it is measured, with where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import environment

Key = tuple[Any, ...]


def read(path: Path) -> dict[Key, dict[str, Any]]:
    """The rows written so far by their keys; the last one of each."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {tuple(row["key"]): row for row in rows}


def record(path: Path, done: dict[Key, Any], key: Key, figures: dict[str, Any]) -> None:
    """Append the figures of `key` to the file, note them in `done` and show them."""
    row = {"key": key, "figures": figures, "environment": environment.describe()}
    done[key] = row
    with path.open("a", encoding="utf-8") as results:
        results.write(json.dumps(row) + "\n")
    print(*key, {name: round(value, 4) for name, value in figures.items()}, flush=True)
