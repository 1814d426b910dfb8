"""Is this collection sound? Every byte of its last commit, against what was recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hashret.errors import DamagedError
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.opening import open_catalog
from hashret.store.catalog.records import CommitRecord
from hashret.store.disk.files import require_sound
from hashret.store.layout import Layout
from hashret.store.model_files import DECODER, read_decoder, read_model, require_model_file
from hashret.store.segments.segment import Segment, open_codes
from hashret.store.segments.stored_items import open_records
from hashret.store.segments.value_files import TEXTS, THUMBNAILS, Values


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged file: where (relative to the collection) and what is wrong with it."""

    path: str
    what: str


@dataclass(slots=True)
class Findings:
    """What was found: the commit examined, how many files it has, and every damage."""

    commit: CommitRecord | None = None
    n_files: int = 0
    damages: list[Damage] = field(default_factory=list)
    parts: list[tuple[Segment, str]] = field(default_factory=list)
    """The damaged files of segments: of which, and which one ("codes", "records", ...)."""
    model_is_sound: bool = True
    """Whether codes can be made; also without a decoder."""
    damaged_decoder: str | None = None
    """The model whose decoder is damaged."""
    catalog_is_sound: bool = True

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damages

    def add(self, layout: Layout, path: Path, error: Exception) -> None:
        """Record what is wrong with the file at `path`."""
        damage = Damage(str(path.relative_to(layout.root)), str(error))
        if damage not in self.damages:
            self.damages.append(damage)

    def judged(self, layout: Layout, path: Path, check: Callable[[], object]) -> bool:
        """Whether a check finds the file at `path` sound; else what it says is recorded."""
        try:
            check()
        except DamagedError as error:
            self.add(layout, path, error)
            return False
        return True


def examine(layout: Layout) -> Findings:
    """Read every byte of the last commit of the collection and compare it with its checksums.

    Raises what opening a catalog raises where there is nothing to compare with
    (`NotACollectionError`, `FormatVersionError`, OSError). Older commits are not examined.
    """
    found = Findings(n_files=1)
    try:
        layout.require_catalog()
        with open_catalog(layout) as catalog:
            for fault in catalog.faults():
                found.catalog_is_sound = False
                found.add(layout, layout.catalog, DamagedError(fault))
            if found.catalog_is_sound:
                found.commit = commit = catalog.last_commit()
                catalog.commits()
                examine_segments(layout, catalog.segments_of(commit), found)
                if commit.model is not None:
                    examine_model(layout, catalog, commit.model, found)
    except DamagedError as error:
        found.catalog_is_sound = False
        found.add(layout, layout.catalog, error)
    return found


def examine_segments(layout: Layout, segments: Iterable[Segment], found: Findings) -> None:
    """Add to `found` what is damaged of the files of these segments."""
    for segment in segments:
        for part, file in segment.files.items():
            found.n_files += 1
            check = partial(_require_part, layout, segment, part)
            if not found.judged(layout, layout.segments / file.name, check):
                found.parts.append((segment, part))


def _require_part(layout: Layout, segment: Segment, part: str) -> None:
    """Raise `DamagedError` unless a file of a segment is sound, and is what it should be.

    One with the right checksum may still hold something else: whoever made it made both.
    """
    file = segment.files[part]
    path = layout.segments / file.name
    require_sound(path, file)
    forms = {form.part: form for form in (TEXTS, THUMBNAILS)}
    if part == "codes":
        open_codes(layout, segment)
    elif part == "records":
        open_records(layout, segment).require_all()
    elif part in forms:
        Values(forms[part], path, file, segment.n_rows).require_all()


def examine_model(layout: Layout, catalog: Catalog, name: str, found: Findings) -> None:
    """Add to `found` what is damaged of a model, and of its decoder if it has one."""
    folder = layout.models / name
    try:
        record = catalog.model(name)
    except DamagedError as error:
        found.model_is_sound = False
        found.add(layout, folder, error)
        return
    found.n_files += len(record.files)
    checks = {part: partial(require_model_file, layout, record, part) for part in record.needed}
    sound = [found.judged(layout, folder / part, check) for part, check in checks.items()]
    model, decoder = partial(read_model, layout, record), partial(read_decoder, layout, record)
    found.model_is_sound = all(sound) and found.judged(layout, folder, model)
    if record.has_decoder and not found.judged(layout, folder / DECODER, decoder):
        found.damaged_decoder = name
