"""Repair a damaged collection: what can stay, what can be given up, and exactly what is lost.

Codes and rows are the truth and are derived from nothing else in the collection, so what is
damaged of them is lost; everything else goes on. Of a damaged catalog a new one is made of the rows
that agree with their checksums (`catalog_salvage`). A plan is made from what `examine` found and
changes nothing; `apply` carries it out under the writer's lock, as a commit.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from hashret.errors import DamagedError, NotACollectionError
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.staging import Staging, forget_after
from hashret.store.files import FileRecord, require_sound, sync_folder
from hashret.store.layout import Layout
from hashret.store.lock import writer_lock
from hashret.store.repair.salvage import Salvaged, salvage, write_catalog
from hashret.store.repair.verify import Findings, examine
from hashret.store.untrusted import require_object

DAMAGED = "damaged"  # the folder that damaged files are moved to


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair does: the commit it starts from, what it moves aside, what is lost."""

    findings: Findings
    fall_back_to: int | None = None  # an earlier commit, or None to stay with the last one
    moved: list[Path] = field(default_factory=list)
    lost_rows: list[int] = field(default_factory=list)
    lost_ids: list[str] = field(default_factory=list)
    without_features: list[str] = field(default_factory=list)
    """Segments whose features are given up; their items stay, --rerank refuses them."""
    salvaged: Salvaged | None = None
    """What the new catalog holds, where the old one is damaged as a whole."""


def plan(layout: Layout) -> Plan:
    """What `apply` would do. Raises `DamagedError` where no commit can be rescued."""
    try:
        findings = examine(layout)
    except NotACollectionError as error:  # not even hashret's tables can be seen
        findings = Findings(catalog_is_sound=False)
        findings.add(layout, layout.catalog, error)
    if findings.is_sound:
        return Plan(findings)
    if not findings.catalog_is_sound or findings.commit is None:
        return _anew(layout, findings)
    with Catalog.open(layout) as catalog:
        if not findings.model_is_sound:
            return _earlier(layout, catalog, findings)
        rows = set(findings.rows)
        for segment in findings.segments:
            rows |= set(range(segment.first_row, segment.first_row + segment.n_rows))
        rows -= set(catalog.removed_rows(findings.commit.commit).tolist())
        moved = [layout.segments / segment.file.name for segment in findings.segments]
        moved += [layout.segments / s.features.name for s in findings.features if s.features]
        return Plan(
            findings,
            moved=[path for path in moved if path.exists()],
            lost_rows=sorted(rows),
            lost_ids=catalog.ids_of_rows(sorted(rows)),
            without_features=[segment.name for segment in findings.features],
        )


def _anew(layout: Layout, findings: Findings) -> Plan:
    """A new catalog of what can be read of the old one."""
    if not layout.sqlite.exists():
        raise DamagedError(
            f"{layout.catalog}: expected a sound catalog on its server, got a damaged one; "
            "restore the database"
        )
    found = salvage(layout)
    (files,) = [require_object(row[2]) for row in found.models]
    for name, record in files.items():
        require_sound(layout.models / found.model / name, FileRecord(name, *record))
    return Plan(
        findings,
        moved=[path for path in found.unsound if path.exists()],
        lost_rows=found.lost_rows,
        lost_ids=found.lost_ids,
        without_features=found.without_features,
        salvaged=found,
    )


def _earlier(layout: Layout, catalog: Catalog, findings: Findings) -> Plan:
    """Fall back to the newest commit whose files are all sound: codes of a lost model are mute."""
    commits = catalog.commits()
    lost = {record.id for page in catalog.item_pages(commits[0].commit) for record in page}
    for commit in commits[1:]:
        if commit.model is None or commit.model == commits[0].model:
            continue
        try:
            for name, file in catalog.model(commit.model).files.items():
                require_sound(layout.models / commit.model / name, file)
            for segment in catalog.segments(commit.commit):
                require_sound(layout.segments / segment.file.name, segment.file)
            kept = {record.id for page in catalog.item_pages(commit.commit) for record in page}
        except DamagedError:
            continue
        return Plan(
            findings,
            fall_back_to=commit.commit,
            moved=[layout.models / str(commits[0].model)],
            lost_ids=sorted(lost - kept),
        )
    raise DamagedError(
        f"{layout.models / str(commits[0].model)}: expected a sound model, got a damaged one and "
        "no earlier commit with another; restore the collection from a copy or index it again"
    )


def apply(layout: Layout, wait_seconds: float = 0.0) -> Plan:
    """Plan under the writer's lock and carry the plan out; returns it.

    Damaged files are moved into the folder `damaged` of the collection. Raises `LockedError`
    and `DamagedError`.
    """
    with writer_lock(layout, wait_seconds):
        made = plan(layout)
        if made.findings.is_sound:
            return made
        if made.salvaged is not None:
            _replace_catalog(layout, made, made.salvaged)
            return made
        with Catalog.open(layout, write=True) as catalog:
            _carry_out(layout, catalog, made)
    return made


def _replace_catalog(layout: Layout, made: Plan, found: Salvaged) -> None:
    """Put the old catalog and damaged files aside, and the new catalog in its place."""
    old = layout.sqlite
    beside = [old.with_name(f"{old.name}-{part}") for part in ("journal", "wal", "shm")]
    for path in (old, *beside, *made.moved):
        if path.exists():
            _set_aside(layout, path)
    new = old.with_name(f"{old.name}.tmp")
    for path in (new, new.with_name(f"{new.name}-journal")):
        path.unlink(missing_ok=True)  # of a repair that was killed
    write_catalog(new, found)
    for path in beside:  # the old one's journal must never be played back into the new one
        path.unlink(missing_ok=True)
    sync_folder(layout.root)
    new.replace(old)
    sync_folder(layout.root)
    with Catalog.open(layout, write=True) as catalog:
        Staging(catalog)  # deletes the files that no row names any more


def _set_aside(layout: Layout, path: Path) -> None:
    """Copy a file or a folder into the folder of the damaged."""
    aside = layout.root / DAMAGED / path.relative_to(layout.root)
    aside.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, aside, dirs_exist_ok=True)
    elif path.exists():
        shutil.copy2(path, aside)
    sync_folder(aside.parent)


def _carry_out(layout: Layout, catalog: Catalog, made: Plan) -> None:
    # Moved first, by copy: the staging deletes files that no commit names any more.
    for path in made.moved:
        _set_aside(layout, path)
    if made.fall_back_to is not None:
        forget_after(catalog, made.fall_back_to)
    staging = Staging(catalog)
    staging.forget_features(made.without_features)
    staging.remove(made.lost_rows)
    staging.forget_segments([segment.name for segment in made.findings.segments])
    last = catalog.last_commit()
    staging.finish(str(last.model))
    for path in made.moved:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        sync_folder(path.parent)
