"""Is this collection sound? Every byte of its last commit, against what was recorded of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hashret.errors import DamagedError
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import CommitRecord
from hashret.store.files import require_sound
from hashret.store.layout import Layout
from hashret.store.model_files import read_model, require_model_file
from hashret.store.segments import SegmentRecord, open_segment


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged file or row: where (relative to the collection) and what is wrong with it."""

    path: str
    what: str


@dataclass(slots=True)
class Findings:
    """What was found: the commit examined, how many items it shows, and every damage."""

    commit: CommitRecord | None = None
    n_files: int = 0
    damages: list[Damage] = field(default_factory=list)
    segments: list[SegmentRecord] = field(default_factory=list)  # whose codes are lost
    features: list[SegmentRecord] = field(default_factory=list)  # whose features alone are lost
    rows: list[int] = field(default_factory=list)  # of the catalog, that are not as written
    model_is_sound: bool = True
    catalog_is_sound: bool = True  # as a database; single rows may be damaged

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damages

    def add(self, layout: Layout, path: Path, error: Exception) -> None:
        """Record what is wrong with the file at `path`."""
        self.damages.append(Damage(str(path.relative_to(layout.root)), str(error)))


def examine(layout: Layout) -> Findings:
    """Read every byte of the last commit of the collection and compare it with its checksums.

    Raises what opening a catalog raises where there is nothing to compare with
    (`NotACollectionError`, `FormatVersionError`, OSError). Older commits are not examined.
    """
    found = Findings()
    try:
        layout.require_catalog()
        with Catalog.open(layout) as catalog:
            _examine_catalog(layout, catalog, found)
            if found.catalog_is_sound and found.commit is not None:
                _examine_files(layout, catalog, found.commit, found)
    except DamagedError as error:
        found.catalog_is_sound = False
        found.add(layout, layout.catalog, error)
    return found


def _examine_catalog(layout: Layout, catalog: Catalog, found: Findings) -> None:
    found.n_files += 1
    for fault in catalog.faults():
        found.catalog_is_sound = False
        found.add(layout, layout.catalog, DamagedError(f"SQLite: {fault}"))
    if not found.catalog_is_sound:
        return
    found.commit = commit = catalog.last_commit()
    covered = [(s.first_row, s.first_row + s.n_rows) for s in catalog.segments(commit.commit)]
    live = 0
    for row, error in catalog.examined_rows(commit.commit):
        live += 1
        if error is None and not any(first <= row < stop for first, stop in covered):
            error = DamagedError(f"row {row}: expected codes in a segment, got none")
        if error is not None:
            found.rows.append(row)
            found.add(layout, layout.catalog, error)
    if live != commit.n_items:
        what = f"expected {commit.n_items} items in commit {commit.commit}, got {live}"
        found.add(layout, layout.catalog, DamagedError(what))
    removed = catalog.removed_rows(commit.commit)
    shown = sum(
        stop - first - int(np.count_nonzero((removed >= first) & (removed < stop)))
        for first, stop in covered
    )
    if shown != live:
        what = f"expected a row for each of {shown} codes, got {live}"
        found.catalog_is_sound = False
        found.add(layout, layout.catalog, DamagedError(what))


def _examine_files(layout: Layout, catalog: Catalog, commit: CommitRecord, found: Findings) -> None:
    for segment in catalog.segments(commit.commit):
        found.n_files += 1
        try:
            open_segment(layout, segment)
        except DamagedError as error:
            found.segments.append(segment)
            found.add(layout, layout.segments / segment.file.name, error)
        if segment.features is None:
            continue
        found.n_files += 1
        path = layout.segments / segment.features.name
        try:
            require_sound(path, segment.features)
        except DamagedError as error:
            found.features.append(segment)
            found.add(layout, path, error)
    if commit.model is None:
        return
    try:
        record = catalog.model(commit.model)
        for name in record.files:
            found.n_files += 1
            try:
                require_model_file(layout, record, name)
            except DamagedError as error:
                found.model_is_sound = False
                found.add(layout, layout.models / record.name / name, error)
        if found.model_is_sound:
            read_model(layout, record)
    except DamagedError as error:
        found.model_is_sound = False
        found.add(layout, layout.models / commit.model, error)
