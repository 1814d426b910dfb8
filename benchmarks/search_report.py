"""What `benchmarks.search` measured, as tables and plots in docs/performance.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from benchmarks.page_sections import write_section
from benchmarks.search_goals import LIMIT, Goal, goals, grid
from benchmarks.search_plots import plots
from benchmarks.search_results import MILLION, Record, Results, built, questions, title

_NAMES = {"auto": "**hashret**", "table": "its table", "multi-index": "its multi-index"}
_NAMES |= {"clusters": "its clusters", "scan": "its scan", "faiss-flat": "Faiss Flat"}
_MAY_MISS = ("Faiss MultiHash", "Faiss IVF", "Faiss HNSW", "usearch HNSW")
_GRID = (
    "The planner's time over that of the fastest single path that it could take (table,",
    "multi-index, clusters, scan, `faiss-flat`): the worst among the lengths measured, and at how",
    "many bits it is. It has been asked the same for a while. All answer in the same form, rows in",
    "order; a bare call of Faiss stands among the peers below. Both sides ask the same index;",
    "a single ratio still varies by a tenth, and the worst of many is the least lucky one.",
)
_RUN_KEYS = ("part", "family", "bits", "n", "kind", "at", "revision", "load")


def write(results: Path, docs: Path) -> None:
    """Put everything into docs/performance.md, between its marks, and the plots beside it."""
    page = docs / "performance.md"
    drawn = plots(Results(results), docs)
    images = [f"![{title}]({name}.svg)" for name, title in drawn.items()]
    write_section(page, "search", "\n".join(["", *tables(results), "", *images, ""]))


def tables(results: Path) -> list[str]:
    """Goals, grid and all times, as lines of Markdown."""
    found = Results(results)
    reached = goals(found)
    count = f"{sum(goal.reached for goal in reached)} of {len(reached)} reached."
    lines = ["### Figures to reach", "", count, "", *goal_table(reached), ""]
    lines += ["### The planner beside the best single path", "", *_GRID, ""]
    lines += [*grid_table(found), ""]
    for setting in found.settings("questions"):
        lines += setting_table(found, *setting)
    runs = [record for record in found.records if record["kind"] == "run"]
    if runs:
        facts = {k: v for k, v in runs[-1].items() if k not in _RUN_KEYS}
        lines += ["Measured on: " + ", ".join(f"{k} {v}" for k, v in facts.items()) + "."]
        revisions = sorted({run["revision"] for run in runs})
        times = sorted(run["at"] for run in runs)
        load = sorted(run["load"] for run in runs)
        said = f"Revisions {', '.join(revisions)}; from {times[0]} to {times[-1]}"
        lines += [f"{said}; load average {load[0]} to {load[-1]}."]
    return lines


def goal_table(reached: Iterable[Goal]) -> list[str]:
    """Markdown lines, a goal a row."""
    lines = ["| operation | on | to reach | measured | |", "|---|---|---|---|---|"]
    for goal in reached:
        outcome = "reached" if goal.reached else "**not reached**"
        lines.append(f"| {goal.operation} | {goal.on} | {goal.asked} | {goal.got} | {outcome} |")
    return lines


def grid_table(found: Results) -> list[str]:
    """The worst ratio of each family and number of codes by question, and the cells behind."""
    cells = list(grid(found))
    titles = list(dict.fromkeys(cell.question for cell in cells))
    lines = [
        "| family | codes | " + " | ".join(titles) + " |",
        "|---|---:|" + "---:|" * len(titles),
    ]
    by_row = defaultdict(list)
    for cell in cells:
        by_row[cell.family, cell.n].append(cell)
    for (family, n), row in sorted(by_row.items(), key=lambda item: (item[0][0], item[0][1])):
        shown = []
        for asked in titles:
            of_asked = [cell for cell in row if cell.question == asked]
            worst = max(of_asked, key=lambda cell: cell.ratio, default=None)
            if worst is None:
                shown.append("")
                continue
            text = f"{worst.ratio:.2f} at {worst.bits}"
            shown.append(f"**{text}**" if worst.ratio > LIMIT else text)
        lines.append(f"| {family} | {n:,} | " + " | ".join(shown) + " |")
    return lines


# all times


def setting_table(found: Results, family: str, bits: int, n: int) -> list[str]:
    """The times of every path on one set of codes."""
    records = found.of("questions", family, bits, n)
    lines = [f"### {n:,} {family} codes of {bits} bits", ""]
    lines += [
        "| question | path | µs a query | beside hashret | recall |",
        "|---|---|---:|---:|---:|",
    ]
    for times in questions(records):
        base = times["auto"]["us"]
        for i, record in enumerate(sorted(times.values(), key=lambda r: r["path"] != "auto")):
            asked = title(record) if i == 0 else ""
            lines.append(
                f"| {asked} | {_shown(record)} | {record['us']:,.2f} | ",
            )
            lines[-1] += f"{record['us'] / base:,.2f} | {_recall(record)} |"
    parts = []
    for name, record in built(found, "questions", family, bits, n).items():
        if name == "auto":
            continue
        size = f", {record['bytes_per_item']:.0f} bytes an item" if n >= MILLION else ""
        parts.append(f"{name} {record['seconds']:.2f} s{size}")
    return [*lines, "", "Built in: " + "; ".join(parts) + ".", ""]


def _shown(record: Record) -> str:
    name = _NAMES.get(record["path"], record["path"])
    aside = record["took"] or record["setting"]
    return f"{name} ({aside})" if aside else name


def _recall(record: Record) -> str:
    recall = record["recall"]
    if recall is None:
        return ""
    return f"{recall:.3f}" if record["path"] in _MAY_MISS else "exact"
