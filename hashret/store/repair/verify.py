"""Is this collection sound? Every byte of its last commit, against what was recorded of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hashret.errors import DamagedError
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import CommitRecord
from hashret.store.files import require_sound
from hashret.store.layout import Layout
from hashret.store.model_files import read_model, require_model_file
from hashret.store.segments import Segment, open_codes
from hashret.store.stored_items import open_records


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
    segments: list[Segment] = field(default_factory=list)  # whose codes or records are lost
    features: list[Segment] = field(default_factory=list)  # whose features alone are lost
    texts: list[Segment] = field(default_factory=list)  # whose texts alone are lost
    model_is_sound: bool = True
    catalog_is_sound: bool = True

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
    found.commit = catalog.last_commit()
    catalog.segments_of(found.commit)


def _examine_files(layout: Layout, catalog: Catalog, commit: CommitRecord, found: Findings) -> None:
    for segment in catalog.segments(commit.commit):
        parts = ((found.segments, segment.codes), (found.segments, segment.records))
        optional = ((found.features, segment.features), (found.texts, segment.texts))
        for damaged, file in (*parts, *optional):
            if file is None:
                continue
            found.n_files += 1
            path = layout.segments / file.name
            try:
                require_sound(path, file)
                if file is segment.codes:
                    open_codes(layout, segment)
                elif file is segment.records:
                    open_records(layout, segment)
            except DamagedError as error:
                if segment not in damaged:
                    damaged.append(segment)
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
