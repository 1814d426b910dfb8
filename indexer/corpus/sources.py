"""The folders and files that the user names: what each is, and how its items are read."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from os import PathLike
from pathlib import Path

from hashret import kinds
from hashret.errors import InputError
from hashret.items import Item
from indexer.corpus import documents, files, images, vectors
from indexer.corpus.forms import FOLDER, FORMS, SAMPLE_FILES, Form, form_named, forms_of
from indexer.corpus.reading import Reading
from indexer.refusals import Skipped

KINDS = tuple(kinds.KINDS)

#: The paths of files and folders that the user names, or a single one.
Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


@dataclass(frozen=True, slots=True)
class Source:
    """One folder or file to read items of one kind ("text", "image" or "vector") from."""

    path: Path
    kind: str

    @property
    def form(self) -> str:
        """Its form: "folder", "table", "arrays", "text" or "image"; else raises InputError."""
        return _form(self.path).name

    @property
    def may_fit(self) -> bool:
        """Whether items of its kind can stand in what it is, as far as its name says."""
        return self.kind in _form(self.path).found

    def require_readable(self) -> None:
        """Raise InputError unless it exists, can be opened and is a source of this kind."""
        form, fitting = _form(self.path), forms_of(self.kind)
        if form in fitting:
            return
        if form is FOLDER:
            suffixes = " or ".join(suffix for one in fitting for suffix in one.suffixes)
            raise InputError(
                f"{self.path}: expected {suffixes} files by name, got a folder; name the files "
                "themselves"
            )
        raise InputError(
            f"{self.path}: expected a source of kind {self.kind}, got {form.name}; "
            f"pass another --kind, or one of {', '.join(one.name for one in fitting)}"
        )

    def would_read(self, path: Path) -> bool:
        """Whether a file at `path`, there or not yet, is the source or would be read with it.

        So would a document or an image in a folder, and a file of ids beside an array.
        """
        form, place = _form(self.path), Path(os.path.realpath(path))
        if path.exists() and path.samefile(self.path):
            return True
        if form is not FOLDER:
            return place in map(Path, map(os.path.realpath, form.beside(self.path)))
        if not files.is_below(path, self.path) or place.name.startswith("."):
            return False
        return any(one.is_item and one.is_named(place) for one in forms_of(self.kind))

    def found(self, how: Reading, before: str = "") -> Iterator[documents.Found]:
        """What stands in the source, in a stable order; documents are found and not yet read.

        `before` stands before the numbers of an array's rows that have no other ids.
        """
        return _form(self.path).found[self.kind](self.path, how, before)


def read(
    paths: Paths, kind: str, how: Reading | None = None, *, workers: int = 1
) -> Iterator[Item | Skipped]:
    """Every item of the sources at `paths`, and everything that became none, as `Skipped`.

    The order is stable: sources as given; in a folder by relative path, in a table by line, in
    an array by row. Memory does not grow with the corpus. One path stands for a list of it.
    `how` says more of the sources.

    Ids are as given, else the path relative to the source's folder with ``/``. A row of an array
    without ids has its number; of one of several arrays, ``FILE:ROW``, unless a prefix with the
    source's name tells them apart. That ids are unique over all sources is not checked here.
    Documents are read by `workers` processes, within limits. What `how` counts it counts anew.

    Raises, before anything is read, UnknownKindError for a kind, and InputError for a source
    that does not exist, cannot be opened or is of an unknown type or another kind; while it
    reads, InputError for a table without a usable header and a file without the arrays asked
    for.
    """
    kinds.kind_of(kind)
    how = how or Reading()
    sources = [Source(path, kind) for path in _listed(paths)]
    for source in sources:
        source.require_readable()
    if how.ids:
        _require_arrays(sources, len(how.ids))
    how.guesses.clear()
    return documents.decoded(_found(sources, how), workers, how)


def _require_arrays(sources: list[Source], n_ids: int) -> None:
    """Raise InputError unless all sources are arrays, to which so many files of ids can belong."""
    if any(source.form != "arrays" for source in sources) or not sources:
        raise InputError("ids: expected .npy or .npz sources to give ids to; leave them out")
    if n_ids not in (1, len(sources)):
        raise InputError(
            f"ids: expected one file for all arrays or one for each of the {len(sources)}, got "
            f"{n_ids}"
        )


def _found(sources: list[Source], how: Reading) -> Iterator[documents.Found]:
    """What stands in the sources, one after the other, each thing with its id."""
    paths = [source.path for source in sources]
    each: Iterator[Iterator[documents.Found]]
    if how.ids:
        each = vectors.read_files(paths, sources[0].kind, how.ids)
    else:
        before = _numbered_after(paths, how)
        each = (source.found(how, before.get(source.path, "")) for source in sources)
    for source, found in zip(sources, each, strict=True):
        prefix = how.prefix_of(source.path)
        yield from (replace(one, id=prefix + one.id) for one in found) if prefix else found


def _numbered_after(paths: list[Path], how: Reading) -> dict[Path, str]:
    """What stands before the row numbers of each array, where several would have the same ids."""
    several = [path for path in paths if _form(path).name == "arrays"]
    if len({how.prefix_of(path) for path in several}) == len(several):
        return {}
    are_told = len({path.name for path in several}) == len(several)
    return {path: files.id_of(path.name if are_told else path.as_posix()) + ":" for path in several}


def infer_kind(paths: Paths, how: Reading | None = None) -> str:
    """The kind of the sources, "text", "image" or "vector", from what stands there.

    Files in folders count by their names (the first 10,000), tables by whether their first rows
    have a `text` or a `path` to an image; one kind must have twice as many as the others.
    Raises InputError if there is nothing to judge by or no kind is clear.
    """
    how = how or Reading()
    counts: Counter[str] = Counter()
    paths = _listed(paths)
    for path in paths:
        counts.update(_form(path).kinds(path, how))
    if not counts:
        raise _none_known(paths, how)
    n_files = counts.total()
    # no folder holds arrays: beside what folders hold they were named by mistake
    n_named_only = sum(n for kind, n in counts.items() if kind not in FOLDER.found)
    for kind, n in counts.most_common(1):
        if n >= 2 * (n_files - n) and n_named_only in (0, n_files):
            return kind
    found = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    raise InputError(
        f"{', '.join(map(str, paths))}: expected files of one kind, got {found}; pass --kind text, "
        "image or vector: a collection has items of one kind, and files of another are skipped"
    )


def _listed(paths: Paths) -> list[Path]:
    """The paths in a list of them, or the one path: never its letters."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]


def _none_known(roots: Sequence[Path], how: Reading) -> InputError:
    """The error for folders without a single text or image."""
    got, advice = "neither", "name a folder with some"
    for root in map(Path, roots):
        for entry in islice(files.walk(root, follow=how.follow_links), SAMPLE_FILES):
            if isinstance(entry, Skipped) and entry.error_class == "symlink":
                got, advice = "links", "--follow-links follows them"
            form = form_named(entry.path) if isinstance(entry, files.Entry) else None
            if isinstance(entry, files.Entry) and form is not None and not form.is_item:
                got, advice = entry.relative, "name a table or an array itself, not its folder"
                break
    return InputError(
        f"{', '.join(map(str, roots)) or 'sources'}: expected texts "
        f"({', '.join(documents.SUFFIXES)}) or images ({', '.join(images.SUFFIXES)}), got {got}; "
        f"{advice}"
    )


def _form(path: Path) -> Form:
    """What a source is; raises InputError for what is none."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: expected a file or folder to read, got: {reason}") from error
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: expected a file or folder to read, got no permission")
    if stat.S_ISDIR(mode):
        return FOLDER
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: expected a regular file or folder, got a pipe or device")
    form = form_named(path)
    if form is None:
        known = "; ".join(one.noun for one in FORMS.values())
        raise InputError(f"{path}: expected {known}; got the unknown type {path.suffix!r}")
    return form
