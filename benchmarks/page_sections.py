"""Sections of the documentation's pages that benchmarks write, each between two marks."""

from __future__ import annotations

from pathlib import Path


def write_section(page: Path, name: str, text: str) -> None:
    """Put text into a page in place of what stands between the marks of this name.

    Raises ValueError where a mark is missing: what to replace is not known then.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    whole = page.read_text(encoding="utf-8")
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page}: expected {begin.strip()} and {end}, got no such marks; put them")
    page.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
