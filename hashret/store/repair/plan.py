"""Repair a damaged collection: what can stay, what can be given up, and exactly what is lost.

Codes and rows are the truth and are derived from nothing else in the collection, so what is
damaged of them is lost; everything else goes on. Of a damaged catalog a new one is made of the rows
that agree with their checksums (`catalog_salvage`). A plan is made from what `examine` found and
changes nothing; `apply` carries it out under the writer's lock, as a commit. What is damaged, and
what is not the collection's, is moved aside (`store.aside`), not deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hashret.errors import DamagedError, NotACollectionError
from hashret.store.aside import make_folder, move, moves_aside
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.staging import Staging, forget_after
from hashret.store.files import require_sound, sync_folder, write_file
from hashret.store.layout import Layout
from hashret.store.leftovers import foreign
from hashret.store.lock import writer_lock
from hashret.store.model_files import require_model_file
from hashret.store.refusals import plainly
from hashret.store.repair.salvage import Salvaged, salvage, write_catalog
from hashret.store.repair.verify import Findings, examine
from hashret.store.untrusted import is_file, open_plain

_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair does: the commit it starts from, what it moves aside, what is lost."""

    findings: Findings
    fall_back_to: int | None = None  # an earlier commit, or None to stay with the last one
    moved: dict[Path, Path] = field(default_factory=dict)
    """What is moved aside, and where to, in the order of the moves."""
    lost_rows: list[int] = field(default_factory=list)
    lost_ids: list[str] = field(default_factory=list)
    lost_catalog: bool = False
    """Whether no catalog is left: every id is lost, codes and models are moved aside."""
    without_features: list[str] = field(default_factory=list)
    """Segments whose features are given up; their items stay, --rerank refuses them."""
    salvaged: Salvaged | None = None
    """What the new catalog holds, where the old one is damaged as a whole."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.findings.is_sound and not self.moved


def plan(layout: Layout) -> Plan:
    """What `apply` would do. Raises `DamagedError` where no commit can be rescued."""
    if not layout.has_catalog and layout.has_data:
        return _without_catalog(layout)
    try:
        findings = examine(layout)
    except NotACollectionError as error:  # not even hashret's tables can be seen
        findings = Findings(catalog_is_sound=False)
        findings.add(layout, layout.catalog, error)
    if not findings.catalog_is_sound or findings.commit is None:
        return _anew(layout, findings)
    with Catalog.open(layout) as catalog:
        others = foreign(layout, *catalog.names())
        if findings.is_sound:
            return Plan(findings, moved=moves_aside(layout.root, others))
        if not findings.model_is_sound:
            return _earlier(layout, catalog, findings, others)
        rows = set(findings.rows)
        for segment in findings.segments:
            rows |= set(range(segment.first_row, segment.first_row + segment.n_rows))
        rows -= set(catalog.removed_rows(findings.commit.commit).tolist())
        moved = [layout.segments / segment.file.name for segment in findings.segments]
        moved += [layout.segments / s.features.name for s in findings.features if s.features]
        return Plan(
            findings,
            moved=moves_aside(layout.root, moved + others),
            lost_rows=sorted(rows),
            lost_ids=catalog.ids_of_rows(sorted(rows)),
            without_features=[segment.name for segment in findings.features],
        )


def _without_catalog(layout: Layout) -> Plan:
    """Codes and models say nothing of their items: out of the way, so that those can come again."""
    findings = Findings(catalog_is_sound=False)
    findings.add(layout, layout.catalog, layout.without_catalog())
    kept = [path for folder in (layout.segments, layout.models) for path in folder.iterdir()]
    empty = [path for path in (layout.server, layout.sqlite, *layout.beside) if is_file(path)]
    moved = moves_aside(layout.root, sorted(kept) + empty)
    return Plan(findings, moved=moved, lost_catalog=True)


def _anew(layout: Layout, findings: Findings) -> Plan:
    """A new catalog of what can be read of the old one."""
    if layout.catalog != layout.sqlite:
        raise DamagedError(
            f"{layout.catalog}: expected a sound catalog on its server, got a damaged one; "
            "restore the database"
        )
    found = salvage(layout)
    for name in found.model.files:
        require_model_file(layout, found.model, name)
    in_the_way = [path for path in _new_files(layout) if not is_file(path)]
    segments = {row[0] for row in found.segments}
    # the codes and models whose rows are lost, else taken for what a killed writer left
    unnamed = [path for path in layout.segments.iterdir() if path.stem not in segments]
    unnamed += [path for path in layout.models.iterdir() if path.name != found.model.name]
    others = [*sorted(unnamed), *foreign(layout, segments, {found.model.name})]
    paths = [layout.sqlite, *layout.beside, *found.unsound, *in_the_way, *others]
    return Plan(
        findings,
        moved=moves_aside(layout.root, paths),
        lost_rows=found.lost_rows,
        lost_ids=found.lost_ids,
        without_features=found.without_features,
        salvaged=found,
    )


def _new_files(layout: Layout) -> tuple[Path, Path]:
    new = layout.new_sqlite
    return new, new.with_name(f"{new.name}-journal")


def _earlier(layout: Layout, catalog: Catalog, findings: Findings, others: Iterable[Path]) -> Plan:
    """Fall back to the newest commit whose files are all sound: codes of a lost model are mute."""
    commits = catalog.commits()
    lost = {record.id for page in catalog.item_pages(commits[0].commit) for record in page}
    for commit in commits[1:]:
        if commit.model is None or commit.model == commits[0].model:
            continue
        try:
            model = catalog.model(commit.model)
            for name in model.files:
                require_model_file(layout, model, name)
            for segment in catalog.segments(commit.commit):
                require_sound(layout.segments / segment.file.name, segment.file)
            kept = {record.id for page in catalog.item_pages(commit.commit) for record in page}
        except DamagedError:
            continue
        return Plan(
            findings,
            fall_back_to=commit.commit,
            moved=moves_aside(layout.root, [layout.models / str(commits[0].model), *others]),
            lost_ids=sorted(lost - kept),
        )
    raise DamagedError(
        f"{layout.models / str(commits[0].model)}: expected a sound model, got a damaged one and "
        "no earlier commit with another; restore the collection from a copy or index it again"
    )


def apply(layout: Layout, wait_seconds: float = 0.0) -> Plan:
    """Plan under the writer's lock and carry the plan out; returns it.

    What is moved goes into the folder `damaged` of the collection. Raises `LockedError` and
    `DamagedError`.
    """
    with writer_lock(layout, wait_seconds):
        made = plan(layout)
        if made.salvaged is not None:
            with plainly(layout.root, "repair"):
                _replace_catalog(layout, made, made.salvaged)
            return made
        move(layout.root, made.moved)
        if made.findings.is_sound or made.lost_catalog:
            return made
        with Catalog.open(layout, write=True) as catalog:
            _carry_out(catalog, made)
    return made


def _replace_catalog(layout: Layout, made: Plan, found: Salvaged) -> None:
    """Put the old catalog and damaged files aside, and the new catalog in its place."""
    # its journal with the rest: it must never be played back into the new one
    move(layout.root, {path: to for path, to in made.moved.items() if path != layout.sqlite})
    for path in _new_files(layout):
        path.unlink(missing_ok=True)  # of a repair that was killed
    write_catalog(layout.new_sqlite, found)
    _keep(layout, made.moved[layout.sqlite])
    sync_folder(layout.root)
    layout.new_sqlite.replace(layout.sqlite)
    sync_folder(layout.root)
    with Catalog.open(layout, write=True) as catalog:
        Staging(catalog)  # deletes the files that no row names any more


def _keep(layout: Layout, to: Path) -> None:
    """The old catalog under another name too: at no moment is there none."""
    make_folder(layout.root, to.parent)
    try:
        os.link(layout.sqlite, to, follow_symlinks=False)
    except OSError:  # a file system without hard links
        with open_plain(layout.sqlite) as old:
            write_file(to, iter(lambda: old.read(_CHUNK), b""))
    sync_folder(to.parent)


def _carry_out(catalog: Catalog, made: Plan) -> None:
    if made.fall_back_to is not None:
        forget_after(catalog, made.fall_back_to)
    staging = Staging(catalog)
    staging.forget_features(made.without_features)
    staging.remove(made.lost_rows)
    staging.forget_segments([segment.name for segment in made.findings.segments])
    last = catalog.last_commit()
    staging.finish(str(last.model))
