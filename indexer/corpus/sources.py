"""What the user named, and what it is: `Source`, `infer_kind` and `read`."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hashret import kinds
from hashret.errors import InputError
from hashret.items import Item
from indexer.corpus import documents, files, images
from indexer.corpus.forms import FOLDER, FORMS, SAMPLE_FILES, Form, form_named, forms_of
from indexer.refusals import Skipped

KINDS = tuple(kinds.KINDS)


@dataclass(frozen=True, slots=True)
class Source:
    """One folder or file to read items of one kind ("text", "image" or "vector") from."""

    path: Path
    kind: str

    @property
    def form(self) -> str:
        """What it is: "folder", "table", "arrays", "text" or "image"; else InputError."""
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

    def found(self, ids: Path | None = None) -> Iterator[documents.Found]:
        """What stands in the source, in a stable order; documents are found and not yet read."""
        return _form(self.path).found[self.kind](self.path, ids)


def read(
    paths: Sequence[Path], kind: str, *, ids: Path | None = None, workers: int = 1
) -> Iterator[Item | Skipped]:
    """Every item of the sources at `paths`, and everything that became none, as `Skipped`.

    The order is stable: sources as given; in a folder by relative path, in a table by line, in
    an array by row. Memory does not grow with the corpus. `ids` is a file with the ids of an
    array's rows, one a line or an .npy, and asks for exactly one source, an array.

    Ids are as given, else the path relative to the source's folder with ``/``; that they are
    unique over all sources is not checked here. Documents are read by `workers` processes, within
    limits.

    Raises, before anything is read, UnknownKindError for a kind, and InputError for a source
    that does not exist, cannot be opened or is of an unknown type or another kind; while it
    reads, InputError for a table without a usable header and a file without the arrays asked
    for.
    """
    kinds.kind_of(kind)
    sources = [Source(Path(path), kind) for path in paths]
    for source in sources:
        source.require_readable()
    if ids is not None and [source.form for source in sources] != ["arrays"]:
        raise InputError("ids: expected one .npy or .npz source to give ids to; leave them out")
    found = (one for source in sources for one in source.found(ids))
    return documents.decoded(found, workers)


def infer_kind(paths: Sequence[Path]) -> str:
    """The kind of the sources, "text", "image" or "vector", from what stands there.

    Files in folders count by their names (the first 10,000), tables by whether their first rows
    have a `text` or a `path` to an image; one kind must have twice as many as the others.
    Raises InputError if there is nothing to judge by or no kind is clear.
    """
    counts: Counter[str] = Counter()
    for path in map(Path, paths):
        counts.update(_form(path).kinds(path))
    if not counts:
        raise _none_known(paths)
    n_files = counts.total()
    # no folder holds arrays: beside what folders hold they were named by mistake
    n_named_only = sum(n for kind, n in counts.items() if kind not in FOLDER.found)
    for kind, n in counts.most_common(1):
        if n >= 2 * (n_files - n) and n_named_only in (0, n_files):
            return kind
    found = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    raise InputError(
        f"{', '.join(map(str, paths))}: expected files of one kind, got {found}; pass --kind text, "
        "image or vector"
    )


def _none_known(roots: Sequence[Path]) -> InputError:
    """The error for folders without a single text or image."""
    got, advice = "neither", "name a folder with some"
    for root in map(Path, roots):
        for entry in islice(files.walk(root), SAMPLE_FILES):
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
