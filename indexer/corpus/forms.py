"""The forms of sources: one row for each, with its suffixes and how its items are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from hashret.errors import InputError
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import documents, files, ids, images, mailboxes
from indexer.corpus.arrays import stored, vectors
from indexer.corpus.folders import archives
from indexer.corpus.reading import Reading
from indexer.corpus.sequences import in_arrays, in_folder, in_lines, in_tables
from indexer.corpus.tables import readers, table
from indexer.corpus.tables.columns import Columns
from indexer.corpus.tables.compressed import SUFFIXES as COMPRESSED
from indexer.corpus.tables.rows import Row

#: The number of files in a folder by which the kind of its items is inferred.
SAMPLE_FILES = 10_000
_SAMPLE_ROWS = 20  # rows of a table by which the kind of its items is inferred

#: A function (path, options, prefix) that yields the entries of a source. Documents are not read
#: yet. The prefix is for the row numbers of an array without ids.
Found = Callable[[Path, Reading, str], Iterator[documents.Found]]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of sources."""

    name: str
    suffixes: tuple[str, ...]
    is_named: Callable[[Path], bool]
    """Whether a file's name shows that it has this form."""
    found: Mapping[str, Found]
    """Kind of items -> the function that finds them; it has no items of other kinds."""
    kinds: Callable[[Path, Reading], Iterable[str]]
    """The kind of each entry of a source, or of the first ones."""
    noun: str
    """Its name in a message, with the suffixes."""
    beside: Callable[[Path], list[Path]] = lambda path: []
    """The paths of other files that are read with it, whether they exist or not."""
    advice: str = ""
    """What helps somebody who has such a file in a folder, where it is left out."""
    is_item: bool = False
    """Whether a file of this form is read in a folder, as an item or as several."""
    also_in_folder: tuple[str, ...] = ()
    """Kinds as which it is read in a folder although its name does not show them."""


def names_in(source: Path, how: Reading) -> Iterator[files.Entry | Skipped]:
    """The first entries of a folder or an archive; no file is read."""
    return islice(archives.entries(source, how, lambda path: 0), SAMPLE_FILES)


def _folder_kinds(source: Path, how: Reading) -> Iterator[str]:
    """The kind of each of the first files of a folder or an archive that is an item, by its name.

    If there is none, files with names that say nothing count as texts, if they are.
    """
    if files.is_collection(source):
        return
    unnamed: list[Path] = []
    is_clear = False
    for entry in names_in(source, how):
        if isinstance(entry, files.Entry):
            form = form_named(entry.path)
            if form is None and entry.data is None:
                unnamed.append(entry.path)
            elif form is not None and form.is_item:
                is_clear = True
                yield from form.kinds(entry.path, how)
    if not is_clear:
        for path in filter(documents.is_text, unnamed):
            yield from FORMS["text"].kinds(path, how)


def _table_kind(path: Path, how: Reading) -> Iterator[str]:
    """ "image" if most of the first rows have the path of an image and no text, else "text".

    "sequence" if there is a series id, or if most rows have a `sequence` and no text.
    """
    if how.series_id is not None:
        yield "sequence"
        return
    texts = Columns.of("text", how).texts
    rows = _first_rows(path, replace(how, infer_types=False))
    if 2 * sum(map(partial(in_tables.is_sequence, besides=texts), rows)) > len(rows):
        yield "sequence"
        return
    paths = [
        str(fields["path"])
        for fields in rows
        if "path" in fields and not any(name in fields for name in texts)
    ]
    n_images = sum(images.is_image(Path(name)) for name in paths)
    yield "image" if 2 * n_images > len(rows) else "text"


def _first_rows(path: Path, how: Reading) -> list[dict[str, Any]]:
    """The fields of the first rows of a table of texts, images or sequences."""
    try:
        found = list(islice(readers.read_rows(path, how), _SAMPLE_ROWS))
    except InputError:
        if how.text_fields:
            raise
        try:
            found = list(
                islice(readers.read_rows(path, how, Columns.of("sequence", how)), _SAMPLE_ROWS)
            )
        except InputError:
            found = []
        if not found:
            raise
    return [row.fields for row in found if type(row) is Row]


def _texts(source: Path, how: Reading) -> Iterator[documents.Found]:
    """The documents and mails of a folder or an archive; other files are refused by their names."""
    for entry in archives.entries(source, how, _most_bytes):
        if isinstance(entry, Skipped):
            yield entry
            continue
        form = form_named(entry.path)
        if form is None or form is FORMS["text"]:
            yield documents.unread(entry, follow=how.follow_links)
        elif form is FORMS["mailbox"]:
            yield from mailboxes.read_mailbox(entry, follow=how.follow_links)
        else:
            advice = "" if form.is_item else "; name it itself, not its folder"
            refused = Refused("other-type", f"expected text, got {form.noun}{advice}")
            yield refused.skipped(entry.id)


def _most_bytes(name: Path) -> int:
    """The most bytes of a member of an archive that are read for texts; 0 if it is of no use."""
    form = form_named(name)
    if form is FORMS["mailbox"]:
        return mailboxes.MAX_ARCHIVED
    return documents.most_bytes(name) if form in (None, FORMS["text"]) else 0


def _file(
    path: Path, read: Callable[[files.Entry], Iterator[documents.Found]]
) -> Iterator[documents.Found]:
    """What is in a file that the user names, which may be a link."""
    try:
        yield from read(files.entry_of(path, path.name, follow=True))
    except Refused as refused:
        yield refused.skipped(files.id_of(path.name))


def _document(entry: files.Entry) -> Iterator[documents.Found]:
    yield documents.unread(entry, follow=True)


def _image(entry: files.Entry) -> Iterator[documents.Found]:
    yield images.read_file(entry, follow=True)


FOLDER = Form(
    "folder",
    suffixes=(),
    is_named=lambda path: False,
    found={
        "text": lambda path, how, before: _texts(path, how),
        "image": lambda path, how, before: images.read_folder(path, how),
        "sequence": lambda path, how, before: in_folder.read_folder(path, how),
    },
    kinds=_folder_kinds,
    noun="a folder",
)

#: Every form by its name.
FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        FOLDER,
        replace(
            FOLDER,
            name="archive",
            suffixes=archives.SUFFIXES,
            is_named=lambda path: archives.is_archive(path.name),
            noun=f"an archive ({', '.join(archives.SUFFIXES)})",
        ),
        Form(
            "table",
            suffixes=readers.SUFFIXES,
            is_named=readers.is_table,
            found={
                "text": lambda path, how, before: table.read_table(path, "text", how),
                "image": lambda path, how, before: table.read_table(path, "image", how),
                "sequence": lambda path, how, before: in_tables.read_table(path, how),
            },
            kinds=_table_kind,
            advice="table: name it as a source",
            noun=f"a table ({', '.join(readers.SUFFIXES)}, also with {', '.join(COMPRESSED)})",
        ),
        Form(
            "arrays",
            suffixes=stored.SUFFIXES,
            is_named=lambda path: path.suffix.lower() in stored.SUFFIXES,
            found={
                "image": lambda path, how, before: vectors.read_file(path, "image", before=before),
                "vector": lambda path, how, before: vectors.read_file(
                    path, "vector", before=before
                ),
                "sequence": lambda path, how, before: in_arrays.read_file(path, before),
            },
            kinds=lambda path, how: [vectors.kind_of(path)],
            advice="array: name it as a source, or --kind sequence",
            also_in_folder=("sequence",),
            noun=f"arrays ({', '.join(stored.SUFFIXES)})",
            beside=ids.names_beside,
        ),
        Form(
            "mailbox",
            suffixes=mailboxes.SUFFIXES,
            is_named=mailboxes.is_mailbox,
            found={
                "text": lambda path, how, before: _file(
                    path, partial(mailboxes.read_mailbox, follow=True)
                )
            },
            kinds=lambda path, how: ["text"],
            noun=f"a mailbox ({', '.join(mailboxes.SUFFIXES)})",
            is_item=True,
        ),
        Form(
            "text",
            suffixes=documents.SUFFIXES,
            is_named=documents.is_document,
            found={
                "text": lambda path, how, before: _file(path, _document),
                "sequence": lambda path, how, before: in_lines.read_lines(
                    path, how, how.name_of(path)
                ),
            },
            kinds=lambda path, how: ["text"],
            advice="texts: --kind text",
            noun=f"a text ({documents.NOUN})",
            is_item=True,
        ),
        Form(
            "image",
            suffixes=images.SUFFIXES,
            is_named=images.is_image,
            found={"image": lambda path, how, before: _file(path, _image)},
            kinds=lambda path, how: ["image"],
            advice="images: --images-to",
            noun=f"an image ({', '.join(images.SUFFIXES)})",
            is_item=True,
        ),
    )
}


#: The kinds of items that the names of files show, in a folder too.
SHOWN_BY_NAME = tuple(name for name, form in FORMS.items() if name in form.found)


def form_named(path: Path) -> Form | None:
    """The form of a file by its name; None if no form has such a name."""
    return next((form for form in FORMS.values() if form.is_named(path)), None)


def form_of(path: Path) -> Form | None:
    """The form of a file by its name, or of a text whatever its name; None if it has no form."""
    return form_named(path) or (FORMS["text"] if documents.is_text(path) else None)


def forms_of(kind: str) -> list[Form]:
    """The forms that can hold items of the kind."""
    return [form for form in FORMS.values() if kind in form.found]
