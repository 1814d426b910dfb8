"""What `benchmarks.search` measured: records read back, by what was measured."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]
MILLION = 1_000_000
PATH = Path(__file__).resolve().parent / "search.jsonl"
"""Where the results of the full benchmark are kept."""


def key(record: Record) -> tuple[str, str, int, int]:
    """What a record is of: the part of the benchmark, and the codes."""
    return record["part"], record["family"], record["bits"], record["n"]


def read(path: Path) -> list[Record]:
    """All records of a file of JSON lines; none if there is no such file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def replace(path: Path, new: list[Record]) -> None:
    """Put these records in the place of those of the same keys."""
    keys = {key(record) for record in new}
    records = [record for record in read(path) if key(record) not in keys] + new
    text = "".join(json.dumps(record) + "\n" for record in sorted(records, key=key))
    path.write_text(text, encoding="utf-8")


class Results:
    """The records, by what was measured."""

    def __init__(self, path: Path):
        self.records = read(path)

    def times(self, **wanted: Any) -> dict[str, Record]:
        """The records of one question, by path; empty where it was not measured."""
        found = {}
        for record in self.records:
            if "us" in record and all(record[key] == value for key, value in wanted.items()):
                found[record["path"]] = record
        return found

    def settings(self, part: str) -> list[tuple[str, int, int]]:
        """(family, bits, n) of the settings of a part."""
        chosen = {(r["family"], r["bits"], r["n"]) for r in self.records if r["part"] == part}
        return sorted(chosen, key=lambda s: (s[2], s[1], s[0]))

    def of(self, part: str, family: str, bits: int, n: int) -> list[Record]:
        """All records of one setting."""
        setting = (part, family, bits, n)
        return [r for r in self.records if (r["part"], r["family"], r["bits"], r["n"]) == setting]


def questions(records: Iterable[Record]) -> list[dict[str, Record]]:
    """The records of each question, by path, in the order of asking."""
    found: dict[tuple[str, int, int], dict[str, Record]] = {}
    for record in records:
        if "us" in record:
            key = record["kind"], record["argument"], record["batch"]
            found.setdefault(key, {})[record["path"]] = record
    return list(found.values())


def title(record: Record) -> str:
    name = {
        "bucket": "bucket",
        "within": f"within {record['argument']}",
        "nearest": f"{record['argument']}-NN",
    }[record["kind"]]
    return f"{name}, single" if record["batch"] == 1 else f"{name}, batch of {record['batch']:,}"


def built(found: Results, part: str, family: str, bits: int, n: int) -> dict[str, Record]:
    records = found.of(part, family, bits, n)
    return {record["path"]: record for record in records if record["kind"] == "build"}
