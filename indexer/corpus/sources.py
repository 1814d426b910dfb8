"""The folders and files that the user names: which items they hold, and how these are read."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from hashret import kinds
from hashret.errors import InputError
from hashret.items import Item
from hashret.workers.refusals import Skipped
from indexer.corpus import documents, files, images, leaving_out
from indexer.corpus.arrays import vectors
from indexer.corpus.endings import counted, ending_of
from indexer.corpus.folders import archives
from indexer.corpus.forms import (
    FOLDER,
    FORMS,
    SHOWN_BY_NAME,
    Form,
    form_named,
    form_of,
    forms_of,
    names_in,
)
from indexer.corpus.reading import Reading
from indexer.corpus.tables import readers

KINDS = tuple(kinds.KINDS)

_SHOWN_ENDINGS = 6  # endings that an error lists
#: One path of a file or folder, or several.
Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


@dataclass(frozen=True, slots=True)
class Source:
    """One folder or file, and the kind of the items in it (`hashret.kinds`)."""

    path: Path
    kind: str

    @property
    def form(self) -> str:
        """The name of its form ("folder", "table", ...); raises InputError if it has none."""
        return _form(self.path).name

    @property
    def may_fit(self) -> bool:
        """Whether a source of its form can hold items of its kind; nothing is read."""
        return self.kind in _form(self.path).found

    @property
    def is_tree(self) -> bool:
        """Whether it is a folder or an archive."""
        return self.form in (FOLDER.name, "archive")

    @property
    def holds_files(self) -> bool:
        """Whether its items are files, or members of archives, whose ids end as names do."""
        return self.is_tree or _form(self.path).is_item

    def require_readable(self) -> None:
        """Raise InputError unless it exists, can be opened and can hold items of its kind."""
        form, fitting = _form(self.path), forms_of(self.kind)
        if form in fitting:
            return
        if form is FOLDER:
            suffixes = " or ".join(suffix for one in fitting for suffix in one.suffixes)
            raise InputError(
                f"{self.path}: expected {suffixes} files, got a folder; name the files themselves"
            )
        raise InputError(
            f"{self.path}: expected a source of {self.kind} items "
            f"({', '.join(one.name for one in fitting)}), got {form.noun}; pass another --kind or "
            "another source"
        )

    def would_read(self, path: Path) -> bool:
        """Whether a file at `path`, which need not exist yet, would be read as part of the source.

        This is the source itself, a document or image in its folder, or a file of ids beside its
        array.
        """
        form, place = _form(self.path), Path(os.path.realpath(path))
        if path.exists() and path.samefile(self.path):
            return True
        if form is not FOLDER:
            return place in map(Path, map(os.path.realpath, form.beside(self.path)))
        if not files.is_below(path, self.path) or place.name.startswith("."):
            return False
        named = form_named(place) or FORMS["text"]  # a text may have any name
        is_read = named.is_item or self.kind in named.also_in_folder
        is_item = is_read and named in forms_of(self.kind)
        return is_item or archives.is_archive(place.name)

    def found(self, how: Reading, before: str = "") -> Iterator[documents.Found]:
        """The entries of the source, in a stable order; documents are not read yet.

        Rows of an array that have no ids get `before` and their number as id.
        """
        return _form(self.path).found[self.kind](self.path, how, before)


def read(
    paths: Paths, kind: str, how: Reading | None = None, *, workers: int = 1
) -> Iterator[Item | Skipped]:
    """Every item of the sources at `paths`, and every other entry as a `Skipped`.

    The order is stable: the sources as given, in a folder by relative path, in a table by line, in
    an array by row. Memory does not grow with the corpus. `how` has the options of reading; its
    counts begin at 0. Documents are read by `workers` processes with limits.

    An id is the one in the source, or else the path relative to the source's folder, with ``/``.
    Without ids, a row of an array has its number as id, or ``FILE:ROW`` if there are several
    arrays and their prefixes don't differ. It is not checked here that ids are unique.

    Before anything is read, raises UnknownKindError for an unknown kind, and InputError for a
    source that does not exist, can't be opened, or has an unknown form or another kind. While
    reading, raises InputError for a table without a usable header, and for a file without a
    suitable array.
    """
    kinds.kind_of(kind)
    how = how or Reading()
    sources = [Source(path, kind) for path in _listed(paths)]
    for source in sources:
        source.require_readable()
    if how.ids:
        _require_arrays(sources, len(how.ids))
    _require_options_fit(sources, kind, how)
    how.guesses.clear()
    how.left_out.clear()
    how.fields_seen.clear()
    found = documents.decoded(_found(sources, how), workers, how)
    return leaving_out.kept(found, kind, how) if how.min_words or how.dedup else found


def _require_arrays(sources: list[Source], n_ids: int) -> None:
    """Raise InputError unless all sources are arrays, with one file of ids for all or for each."""
    if any(source.form != "arrays" for source in sources) or not sources:
        raise InputError("ids: expected .npy or .npz sources to give ids to; leave them out")
    if n_ids not in (1, len(sources)):
        raise InputError(
            f"ids: expected one file for all arrays or one for each of the {len(sources)}, got "
            f"{n_ids} files; give one or {len(sources)}"
        )


def _require_options_fit(sources: list[Source], kind: str, how: Reading) -> None:
    """Raise InputError for an option that says nothing about any of the sources."""
    readers.require_used(how, [source.path for source in sources if source.form == "table"])
    if not any(source.is_tree for source in sources):
        for option in ("exclude", "include", "hidden"):
            if getattr(how, option):
                raise InputError(
                    f"--{option}: expected a folder or an archive to read, got none; leave it out"
                )
    are_steps = kinds.kind_of(kind).of_steps
    for option, is_given in (("series-id", how.series_id), ("values", how.values)):
        if is_given and not are_steps:
            raise InputError(
                f"--{option}: expected sequences, got items of kind {kind}; leave it out"
            )
    if how.values and how.series_id is None and not any(source.is_tree for source in sources):
        raise InputError("--values: expected --series-id beside it, got none; name that column")
    if how.series_id is not None and (how.id_field or how.text_fields):
        option = "--id-field" if how.id_field else "--text-field"
        raise InputError(f"{option}: expected none with --series-id; leave it out")
    if how.min_words and not kinds.kind_of(kind).stores_texts:
        raise InputError(f"--min-words: expected texts, got items of kind {kind}; leave it out")


def _found(sources: list[Source], how: Reading) -> Iterator[documents.Found]:
    """The entries of the sources, one source after the other, with their final ids."""
    paths = [source.path for source in sources]
    each: Iterator[Iterator[documents.Found]]
    if how.ids:
        each = vectors.read_files(paths, sources[0].kind, how.ids)
    else:
        before = _row_prefixes(paths, how)
        each = (source.found(how, before.get(source.path, "")) for source in sources)
    for source, found in zip(sources, each, strict=True):
        prefix = how.prefix_of(source.path)
        yield from (replace(one, id=prefix + one.id) for one in found) if prefix else found


def _row_prefixes(paths: list[Path], how: Reading) -> dict[Path, str]:
    """The prefix of the row numbers of each array; empty if the numbers are unique without."""
    arrays = [path for path in paths if _form(path).name == "arrays"]
    if len({how.prefix_of(path) for path in arrays}) == len(arrays):
        return {}
    names_differ = len({path.name for path in arrays}) == len(arrays)
    names = {path: path.name if names_differ else path.as_posix() for path in arrays}
    return {path: files.id_of(name) + ":" for path, name in names.items()}


def count_kinds(paths: Paths, how: Reading | None = None) -> Counter[str]:
    """Kind -> how many items of it the sources seem to have, by names.

    The first 10,000 files of a folder or archive count by their suffixes. Files of unknown suffixes
    count only if there are no others: as texts, if they are. A table counts once, by whether its
    first rows have a text or the `path` of an image. Raises InputError if there is nothing.
    """
    how = how or Reading()
    counts: Counter[str] = Counter()
    paths = _listed(paths)
    for path in paths:
        counts.update(_form(path).kinds(path, how))
    if not counts:
        raise _none_known(paths, how)
    return counts


def infer_kind(paths: Paths, how: Reading | None = None) -> str:
    """The kind of the items in the sources.

    One kind must have at least twice the count (`count_kinds`) of all others. Raises InputError if
    nothing is found, or if the kind is not clear.
    """
    return clear_kind(count_kinds(paths, how), paths)


def clear_kind(counts: Counter[str], paths: Paths) -> str:
    """The kind that has at least twice the count of all others; raises InputError if none has."""
    n_files = counts.total()
    # arrays are never items of a folder; together with items that are, the kind is not clear
    n_named_only = sum(n for kind, n in counts.items() if kind not in SHOWN_BY_NAME)
    for kind, n in counts.most_common(1):
        if n >= 2 * (n_files - n) and n_named_only in (0, n_files):
            return kind
    found = ", ".join(f"{n:,} {kind}" for kind, n in sorted(counts.items()))
    both = "" if n_named_only else ", or both: --to TEXTS --images-to IMAGES makes two collections"
    raise InputError(
        f"{', '.join(map(str, _listed(paths)))}: expected files of one kind, got {found}; choose "
        f"one with --kind {', '.join(KINDS[:-1])} or {KINDS[-1]}{both}"
    )


def _listed(paths: Paths) -> list[Path]:
    """The paths as a list; a single string is one path."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]


def _none_known(roots: Sequence[Path], how: Reading) -> InputError:
    """The error for folders without a text or an image: it says what is there instead."""
    endings: Counter[str] = Counter()
    advice = "name a folder with some"
    for root in map(Path, roots):
        if files.is_collection(root):
            raise InputError(
                f"{root}: expected texts or images, got a collection of hashret; name the source "
                "that it was made from"
            )
        for entry in names_in(root, how):
            if isinstance(entry, Skipped):
                counted(endings, entry.error_class)
                if entry.error_class == "symlink":
                    advice = "follow symbolic links with --follow-links"
                continue
            counted(endings, ending_of(entry.id))
            form = form_named(entry.path)
            if form is not None and not form.is_item:
                advice = f"name a table or an array itself, as {entry.id}, not its folder"
                if form.also_in_folder:
                    advice += f", or say --kind {form.also_in_folder[0]} if each is one"
    shown = endings.most_common(_SHOWN_ENDINGS)
    got = ", ".join(f"{n:,} {ending}" for ending, n in shown) or "nothing"
    return InputError(
        f"{', '.join(map(str, roots)) or 'sources'}: expected texts "
        f"({documents.NOUN}) or images ({', '.join(images.SUFFIXES)}), got {got}; {advice}"
    )


def _form(path: Path) -> Form:
    """The form of the source at a path; raises InputError if it has none or can't be read."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path}: expected a file or folder to read, got: {reason}; check the path"
        ) from error
    if not os.access(path, os.R_OK):
        raise InputError(
            f"{path}: expected a file or folder to read, got no permission; check who may read it"
        )
    if stat.S_ISDIR(mode):
        return FOLDER
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{path}: expected a regular file or folder, got a pipe or device; name a file"
        )
    form = form_of(path)
    if form is None:
        known = ", ".join(one.noun for one in FORMS.values())
        raise InputError(
            f"{path}: expected {known}, got the unknown type {path.suffix!r}; convert it to one of "
            "these"
        )
    return form
