"""Which kind of items goes from which sources into which collection?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.output import counted
from hashret.errors import InputError
from hashret.items import Item
from hashret.kinds import kind_of
from indexer.cli.console import say
from indexer.training.presets import PRESETS

if TYPE_CHECKING:
    from hashret.store.catalog.records import SourceFolder
    from indexer.corpus import Reading, Skipped


@dataclass(frozen=True, slots=True)
class Share:
    """What of the sources goes into one collection."""

    kind: str
    to: Path
    sources: Sequence[Path]
    how: Reading
    beside: str | None = None
    """The kind of what goes into another collection, and is no skipped item of this one."""

    def read(self, workers: int) -> Iterator[Item | Skipped]:
        """The items, and what was skipped."""
        from indexer import corpus
        from indexer.corpus.forms import form_named

        for one in corpus.read(self.sources, self.kind, self.how, workers=workers):
            if self.beside and not isinstance(one, Item) and one.error_class == "other-type":
                form = form_named(Path(one.id))
                if form is not None and form.is_item and self.beside in form.found:
                    continue
            yield one

    @property
    def folders(self) -> list[SourceFolder]:
        """The folders among the sources, and what stands before the ids of their files."""
        from hashret.store.catalog.records import SourceFolder

        return [
            SourceFolder(str(path.absolute()), self.how.prefix_of(path))
            for path in self.sources
            if path.is_dir()
        ]

    @property
    def are_files(self) -> bool:
        """Whether the items are files, whose ids end as their names do."""
        from indexer import corpus

        return all(corpus.Source(path, self.kind).holds_files for path in self.sources)


def shares(
    sources: Sequence[Path],
    kind: str | None,
    to: Path,
    images_to: Path | None,
    catalog: str | None,
    how: Reading,
) -> list[Share]:
    """What goes where: all into one collection, or texts into `to` and images into `images_to`."""
    from indexer.corpus.forms import SHOWN_BY_NAME

    if images_to is None:
        return [Share(_kind(sources, kind, to, catalog, how), to, sources, how)]
    if kind is not None:
        raise click.UsageError(f"--kind: expected none with --images-to, got {kind}; leave it out")
    if images_to.resolve() == to.resolve():
        raise click.UsageError(f"--images-to: expected another collection than --to, got {to}")
    _require_both(sources, how)
    found = []
    for one, other in permutations(SHOWN_BY_NAME):
        place = images_to if kind_of(one).decodes_files else to
        fitting = [path for path in sources if _fits(path, one, how)]
        chosen = _kind(fitting, one, place, catalog, how)
        fitted = how if kind_of(one).stores_texts else replace(how, min_words=0)
        found.append(Share(chosen, place, fitting, fitted, beside=other))
    return found


def preset_of(preset: str | None, share: Share) -> str | None:
    """The preset for one share: one that is of the other kind's goes there.

    Raises UsageError for one that both kinds have.
    """
    if preset is None or share.beside is None:
        return preset
    having = [kind for kind in (share.kind, share.beside) if preset in PRESETS[kind]]
    if len(having) > 1:
        raise click.UsageError(
            f"--preset: expected one of texts or of images alone with --images-to, got {preset}, "
            "which both have; index them one after the other"
        )
    return None if having == [share.beside] else preset


def require_mixable(given: dict[str, Any]) -> None:
    """Raise UsageError for options that say something of one collection of a kind only."""
    for option, value in given.items():
        if value:
            raise click.UsageError(
                f"--{option}: expected none with --images-to; index texts and images one after "
                "the other"
            )


def _require_both(sources: Sequence[Path], how: Reading) -> None:
    """Raise InputError unless there are texts and images, as far as names show it."""
    from indexer import corpus
    from indexer.corpus.forms import SAMPLE_FILES, SHOWN_BY_NAME

    counts = corpus.count_kinds(sources, how)
    are_both = len(counts) > 1 or counts.total() >= SAMPLE_FILES
    if not are_both or not counts.keys() <= set(SHOWN_BY_NAME):
        raise InputError(
            f"--images-to: expected texts and images in {', '.join(map(str, sources))}, got "
            f"{_said(counts)}; leave it out"
        )


def _fits(path: Path, kind: str, how: Reading) -> bool:
    """Whether a source has items of the kind: folders may, tables by their first rows."""
    from indexer import corpus

    source = corpus.Source(path, kind)
    return source.may_fit and (source.form != "table" or corpus.infer_kind([path], how) == kind)


def _kind(
    sources: Sequence[Path], kind: str | None, to: Path, catalog: str | None, how: Reading
) -> str:
    """The kind of the items: that of the collection, else that of --kind, else that of the files.

    Raises `InputError` where the collection is of another kind than --kind or a source.
    """
    from indexer import corpus
    from indexer.ingest.writer_session import another_kind

    stored = _kind_of(to, catalog)
    if stored is None:
        return kind or _inferred(sources, how)
    if kind not in (None, stored):
        raise another_kind("--kind", stored, to, str(kind))
    for source in (corpus.Source(path, stored) for path in sources):
        if not source.may_fit:
            raise another_kind(str(source.path), stored, to, source.form)
    return stored


def _inferred(sources: Sequence[Path], how: Reading) -> str:
    """The kind of most files; a note says that there are others, and how to index these."""
    from indexer import corpus

    counts = corpus.count_kinds(sources, how)
    kind = corpus.clear_kind(counts, sources)
    for other, n in counts.items():
        if other != kind:
            given = " ".join(map(str, sources))
            images = "--images-to DIR beside --to makes a collection of images too"
            say(
                f"note: {_said(counts)} found; {counted(n, other)} left out here: "
                f"`hashret index {given} --kind {other} --to DIR` indexes them"
                + (f", or {images}" if kind_of(other).decodes_files else "")
            )
    return kind


def _said(counts: Counter[str]) -> str:
    return " and ".join(counted(n, kind) for kind, n in counts.most_common())


def _kind_of(to: Path, address: str | None) -> str | None:
    """The kind of the collection at `to`; None if there is no collection yet."""
    from hashret.store.catalog.opening import open_if_made
    from hashret.store.layout import Layout

    catalog = open_if_made(Layout.require_place(to), address=address)
    if catalog is None:
        return None
    with catalog:
        return catalog.kind
