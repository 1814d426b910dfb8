"""Repair a damaged collection: what can stay, what can be given up, and exactly what is lost.

Of a damaged catalog a new one is made of the rows that agree with their checksums (`salvage`). What
stays is the newest commit that is whole in the catalog and whose model is sound; segments of it
that are damaged are written anew of what is sound in them (`rescue`). A plan changes nothing;
`apply` carries it out under the writer's lock, as a commit. What is damaged, and what is not the
collection's, is moved aside (`store.disk.aside`), not deleted.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hashret.errors import DamagedError, NotACollectionError
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.opening import open_catalog
from hashret.store.catalog.records import CommitRecord
from hashret.store.catalog.staging import Staging, forget_after, forget_staged
from hashret.store.disk.aside import move, moves_aside
from hashret.store.disk.damage import damaged
from hashret.store.disk.files import make_folder, sync_folder, write_file
from hashret.store.disk.refusals import plainly
from hashret.store.disk.untrusted import is_file, open_plain
from hashret.store.layout import Layout
from hashret.store.leftovers import foreign
from hashret.store.lock import writer_lock
from hashret.store.model_files import DECODER
from hashret.store.repair.rescue import readable, rewrite
from hashret.store.repair.salvage import ends_with_a_commit, salvaged
from hashret.store.repair.verify import Findings, examine, examine_model, examine_segments
from hashret.store.segments.segment import Segment

_CHUNK = 1 << 20  # bytes


@dataclass(slots=True)
class RepairPlan:
    """What a repair does: the commit that it starts from, what it moves aside, what is lost."""

    findings: Findings
    commit: CommitRecord | None = None
    """What stays, but for the damaged files."""
    falls_back: bool = False
    """Whether later commits are given up: their model is damaged, or their rows in the catalog."""
    moved: dict[Path, Path] = field(default_factory=dict)
    """What is moved aside, and where to, in the order of the moves."""
    lost_ids: list[str] = field(default_factory=list)
    lost_catalog: bool = False
    """Whether no catalog is left: every id is lost, codes and models are moved aside."""
    new_catalog: bytes | None = None
    """The file that takes the place of a damaged catalog."""
    is_partial: bool = False
    """Whether no commit is whole in the new catalog: items may be missing, or be back that had been
    removed."""
    damaged: dict[str, set[str]] = field(default_factory=dict)
    """By segment, which of its parts are lost: "codes", "records", "texts", ..."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.findings.is_sound and not self.moved


def plan(layout: Layout) -> RepairPlan:
    """What `apply` would do. Raises `DamagedError` where no commit can be rescued."""
    if not layout.has_catalog and layout.has_data:
        return _without_catalog(layout)
    try:
        findings = examine(layout)
    except NotACollectionError as error:  # not even hashret's tables can be seen
        findings = Findings(catalog_is_sound=False)
        findings.add(layout, layout.catalog, error)
    if findings.catalog_is_sound:
        made = RepairPlan(findings)
        with open_catalog(layout) as catalog:
            given_up = _plan_segments(layout, catalog, made)
            _plan_moves(layout, catalog, made, given_up)
        return made
    if layout.catalog != layout.sqlite:
        expected, got = "a sound catalog on its server", "a damaged one"
        raise damaged(layout.catalog, expected, got, "restore the database")
    with salvaged(layout) as (catalog, newest):
        made = RepairPlan(findings, is_partial=not ends_with_a_commit(catalog))
        _plan_segments(layout, catalog, made, newest)
        if made.commit is not None:
            forget_after(catalog, made.commit.commit)
        forget_staged(catalog)  # the rows of what came later
        in_the_way = [] if is_file(layout.new_sqlite) else [layout.new_sqlite]
        others = [layout.sqlite, *layout.beside, *in_the_way, *_unnamed(layout, catalog)]
        _plan_moves(layout, catalog, made, others)
        made.new_catalog = catalog.layout.sqlite.read_bytes()
    return made


def _without_catalog(layout: Layout) -> RepairPlan:
    """Codes and models say nothing of their items: out of the way, so that those can come again."""
    findings = Findings(catalog_is_sound=False)
    findings.add(layout, layout.catalog, layout.without_catalog())
    kept = [path for folder in (layout.segments, layout.models) for path in folder.iterdir()]
    empty = [path for path in (layout.server, layout.sqlite, *layout.beside) if is_file(path)]
    moved = moves_aside(layout.root, sorted(kept) + empty)
    return RepairPlan(findings, moved=moved, lost_catalog=True)


def _unnamed(layout: Layout, catalog: Catalog) -> list[Path]:
    """Files that the lost rows named; else they were taken for what a killed writer left."""
    segments, models = catalog.names()
    paths = [p for p in layout.segments.iterdir() if p.name.split(".")[0] not in segments]
    return sorted(paths) + sorted(p for p in layout.models.iterdir() if p.name not in models)


def _plan_segments(
    layout: Layout, catalog: Catalog, made: RepairPlan, newest: int | None = None
) -> list[Path]:
    """Plan what stays of a sound catalog's commits; returns the models and files given up.

    `newest` is the number of the newest commit that there was, if that is not there any more.
    """
    findings = made.findings
    commits = catalog.commits()
    made.commit, segments, models = _kept(layout, catalog, commits)
    given_up = [layout.models / name for name in models]
    newest = newest or (commits[0].commit if commits else 0)
    if made.commit is not None and made.commit.commit < newest:
        made.falls_back = True
        with suppress(DamagedError):
            former = catalog.segments(newest)
            made.lost_ids = _only_in(layout, former, segments)
            later = [one for one in former if one not in segments]
            files = [file for one in later for file in one.files.values()]
            given_up += [layout.segments / file.name for file in files]
            missing = commits[0].n_items - sum(segment.n_live for segment in former)
            if commits[0].commit == newest and missing > 0:
                made.lost_ids.append(f"({missing} items, whose ids cannot be read)")
    if made.falls_back or not findings.catalog_is_sound:
        examine_segments(layout, segments, kept := Findings())
        if made.commit is not None and made.commit.model is not None:
            examine_model(layout, catalog, made.commit.model, kept)
        findings.damages += [one for one in kept.damages if one not in findings.damages]
        findings.parts, findings.damaged_decoder = kept.parts, kept.damaged_decoder
    parts: dict[str, set[str]] = defaultdict(set)
    for segment, part in findings.parts:
        parts[segment.name].add(part)
    made.damaged = dict(parts)
    for segment in segments:
        if "records" in parts.get(segment.name, ()):
            made.lost_ids += readable(layout, segment)[1].values()
    return given_up


def _plan_moves(layout: Layout, catalog: Catalog, made: RepairPlan, others: Iterable[Path]) -> None:
    strange = foreign(layout, *catalog.names())
    made.moved = moves_aside(layout.root, [*others, *strange, *_damaged_files(layout, made)])


def _damaged_files(layout: Layout, made: RepairPlan) -> list[Path]:
    """The damaged files of segments, and of the decoder."""
    findings = made.findings
    files = [layout.segments / segment.files[part].name for segment, part in findings.parts]
    if findings.damaged_decoder is not None:
        files.append(layout.models / findings.damaged_decoder / DECODER)
    return files


def _kept(
    layout: Layout, catalog: Catalog, commits: list[CommitRecord]
) -> tuple[CommitRecord | None, list[Segment], list[str]]:
    """The newest commit that is whole and whose model is sound, its segments; damaged models."""
    unsound: list[str] = []
    for commit in commits:
        with suppress(DamagedError):
            segments = catalog.segments_of(commit)
            if commit.model is not None and commit.model not in unsound:
                examine_model(layout, catalog, commit.model, found := Findings())
                if not found.model_is_sound:
                    unsound.append(commit.model)
            if commit.model not in unsound:
                return commit, segments, unsound
    if not commits:
        return None, [], []
    if unsound:
        got = "a damaged one and no earlier commit with another"
        raise damaged(layout.models / unsound[0], "a sound model", got)
    raise damaged(layout.catalog, "a commit that is whole", "none")


def _only_in(layout: Layout, former: list[Segment], now: list[Segment]) -> list[str]:
    """The ids of former segments, as far as they can be read, that are not shown now."""
    shown = {record.id for one in now for record in readable(layout, one)[0].values()}
    lost: set[str] = set()
    for segment in former:
        found, others = readable(layout, segment)
        lost |= {record.id for record in found.values()} | set(others.values())
    return sorted(lost - shown)


def apply(layout: Layout, wait_seconds: float = 0.0) -> RepairPlan:
    """Plan under the writer's lock and carry the plan out; returns it.

    What is moved goes into the folder `damaged` of the collection. Raises `LockedError` and
    `DamagedError`.
    """
    with writer_lock(layout, wait_seconds):
        made = plan(layout)
        # files of segments stay until what is sound in them stands in other ones, and the decoder
        # until no row names it
        late = set(_damaged_files(layout, made))
        last = {path: to for path, to in made.moved.items() if path in late}
        first = {path: to for path, to in made.moved.items() if path not in late}
        old = first.pop(layout.sqlite, None) if made.new_catalog else None
        move(layout.root, first)
        if made.new_catalog and old:
            with plainly(layout.root, "repair"):
                _keep(layout, old)
                write_file(layout.sqlite, [made.new_catalog])
        if not (made.findings.is_sound or made.lost_catalog):
            with open_catalog(layout, write=True) as catalog:
                _carry_out(catalog, made)
        move(layout.root, last)
    return made


def _keep(layout: Layout, to: Path) -> None:
    """The old catalog under another name too: at no moment is there none."""
    make_folder(layout.root, to.parent)
    try:
        os.link(layout.sqlite, to, follow_symlinks=False)
    except OSError:  # a file system without hard links
        with open_plain(layout.sqlite) as old:
            write_file(to, iter(lambda: old.read(_CHUNK), b""))
    sync_folder(to.parent)


def _carry_out(catalog: Catalog, made: RepairPlan) -> None:
    if made.commit is not None and made.falls_back and not made.new_catalog:
        forget_after(catalog, made.commit.commit)
    staging = Staging(catalog)  # deletes the files that no row names any more
    if made.findings.damaged_decoder is not None:
        staging.forget_model_file(made.findings.damaged_decoder, DECODER)
    if not made.damaged:
        return
    for segment in list(staging.items.segments):
        parts = made.damaged.get(segment.name, set())
        if parts & {"codes", "records"}:
            rewrite(catalog.layout, staging, segment, parts)
        else:
            for part in parts:
                staging.forget_files(part, [segment.name])
    staging.finish(made.commit.model or "" if made.commit else "")
