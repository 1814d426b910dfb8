"""Is this collection sound? Every byte of its last commit, against what was recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hashret.errors import DamagedError
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import CommitRecord
from hashret.store.files import require_sound
from hashret.store.layout import Layout
from hashret.store.model_files import (
    DECODER,
    ModelRecord,
    read_decoder,
    read_model,
    require_model_file,
)
from hashret.store.segments.segment import Segment, open_codes
from hashret.store.segments.stored_items import open_records
from hashret.store.segments.value_files import TEXTS, THUMBNAILS, ValueForm, Values


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


def examine(layout: Layout) -> Findings:
    """Read every byte of the last commit of the collection and compare it with its checksums.

    Raises what opening a catalog raises where there is nothing to compare with
    (`NotACollectionError`, `FormatVersionError`, OSError). Older commits are not examined.
    """
    found = Findings(n_files=1)
    try:
        layout.require_catalog()
        with Catalog.open(layout) as catalog:
            for fault in catalog.faults():
                found.catalog_is_sound = False
                found.add(layout, layout.catalog, DamagedError(fault))
            if catalog.folders is None:
                found.catalog_is_sound = False
                wrong = "folders: expected their checksum to agree, got another"
                found.add(layout, layout.catalog, DamagedError(wrong))
            if found.catalog_is_sound:
                found.commit = commit = catalog.last_commit()
                catalog.commits()
                examine_segments(layout, catalog.segments_of(commit), found)
                if commit.model is not None:
                    _examine_model(layout, catalog, commit.model, found)
    except DamagedError as error:
        found.catalog_is_sound = False
        found.add(layout, layout.catalog, error)
    return found


def examine_segments(layout: Layout, segments: Iterable[Segment], found: Findings) -> None:
    """Add to `found` what is damaged of the files of these segments."""
    for segment in segments:
        for part, file in segment.files.items():
            found.n_files += 1
            path = layout.segments / file.name
            try:
                require_sound(path, file)
                if part in _READ:
                    _READ[part](layout, segment)
            except DamagedError as error:
                found.parts.append((segment, part))
                found.add(layout, path, error)


def _read_values(layout: Layout, segment: Segment, form: ValueForm, part: str) -> None:
    file = segment.files[part]
    Values(form, layout.segments / file.name, file, segment.n_rows).require_all()


# A file with the right checksum may still hold something else: whoever made it made both.
_READ: dict[str, Callable[[Layout, Segment], object]] = {
    "codes": open_codes,
    "records": lambda layout, segment: open_records(layout, segment).require_all(),
    "texts": partial(_read_values, form=TEXTS, part="texts"),
    "thumbnails": partial(_read_values, form=THUMBNAILS, part="thumbnails"),
}


def require_model(layout: Layout, record: ModelRecord) -> None:
    """Raise `DamagedError` unless the files of a model are sound, but for that of its decoder."""
    for name in record.needed:
        require_model_file(layout, record, name)
    read_model(layout, record)


def examine_decoder(layout: Layout, record: ModelRecord, found: Findings) -> None:
    """Add to `found` whether the decoder of a model, if it has one, is damaged."""
    if DECODER not in record.files:
        return
    found.n_files += 1
    try:
        read_decoder(layout, record)
    except DamagedError as error:
        found.damaged_decoder = record.name
        found.add(layout, layout.models / record.name / DECODER, error)


def _examine_model(layout: Layout, catalog: Catalog, model: str, found: Findings) -> None:
    try:
        record = catalog.model(model)
    except DamagedError as error:
        found.model_is_sound = False
        found.add(layout, layout.models / model, error)
        return
    examine_decoder(layout, record, found)
    for name in record.needed:
        found.n_files += 1
        try:
            require_model_file(layout, record, name)
        except DamagedError as error:
            found.model_is_sound = False
            found.add(layout, layout.models / model / name, error)
    if found.model_is_sound:
        try:
            read_model(layout, record)
        except DamagedError as error:
            found.model_is_sound = False
            found.add(layout, layout.models / model, error)
