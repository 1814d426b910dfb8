"""The forms of sources: one row for each, with its suffixes and how its items are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from indexer.corpus import documents, files, ids, images, mailboxes
from indexer.corpus.arrays import stored, vectors
from indexer.corpus.reading import Reading
from indexer.corpus.tables import readers, table
from indexer.corpus.tables.columns import Columns
from indexer.corpus.tables.compressed import SUFFIXES as COMPRESSED
from indexer.corpus.tables.rows import Row
from indexer.refusals import Refused

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
    is_item: bool = False
    """Whether a file of this form is read in a folder, as an item or as several."""


def _folder_kinds(root: Path, how: Reading) -> Iterator[str]:
    """The kind of each of the first files of a folder that is an item, by its name.

    If there is none, files with names that say nothing count as texts, if they are.
    """
    if files.is_collection(root):
        return
    unnamed: list[Path] = []
    is_clear = False
    for entry in islice(files.walk(root, follow=how.follow_links), SAMPLE_FILES):
        if isinstance(entry, files.Entry):
            form = form_named(entry.path)
            if form is None:
                unnamed.append(entry.path)
            elif form.is_item:
                is_clear = True
                yield from form.kinds(entry.path, how)
    if not is_clear:
        for path in filter(documents.is_text, unnamed):
            yield from FORMS["text"].kinds(path, how)


def _table_kind(path: Path, how: Reading) -> Iterator[str]:
    """ "image" if most of the first rows have the path of an image and no text, else "text"."""
    texts = Columns.of("text", how).texts
    first = islice(readers.read_rows(path, replace(how, infer_types=False)), _SAMPLE_ROWS)
    rows = [row.fields for row in first if type(row) is Row]
    paths = [
        str(fields["path"])
        for fields in rows
        if "path" in fields and not any(name in fields for name in texts)
    ]
    n_images = sum(images.is_image(Path(name)) for name in paths)
    yield "image" if 2 * n_images > len(rows) else "text"


def _texts(root: Path, how: Reading) -> Iterator[documents.Found]:
    """The documents and mails in a folder; other files are refused by what their names say."""

    def within(entry: files.Entry) -> Iterator[documents.Found] | None:
        form = form_named(entry.path)
        if form is FORMS["mailbox"]:
            return mailboxes.read_mailbox(entry.path, entry.relative, follow=how.follow_links)
        if form is None or form is FORMS["text"]:
            return None
        advice = "" if form.is_item else "; name it itself, not its folder"
        refused = Refused("other-type", f"expected text, got {form.noun}{advice}")
        return iter([refused.skipped(files.id_of(entry.relative))])

    return documents.read_folder(root, within, follow=how.follow_links)


FOLDER = Form(
    "folder",
    suffixes=(),
    is_named=lambda path: False,
    found={
        "text": lambda path, how, before: _texts(path, how),
        "image": lambda path, how, before: images.read_folder(path, follow=how.follow_links),
    },
    kinds=_folder_kinds,
    noun="a folder",
)

#: Every form by its name.
FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        FOLDER,
        Form(
            "table",
            suffixes=readers.SUFFIXES,
            is_named=readers.is_table,
            found={
                "text": lambda path, how, before: table.read_table(path, "text", how),
                "image": lambda path, how, before: table.read_table(path, "image", how),
            },
            kinds=_table_kind,
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
            },
            kinds=lambda path, how: [vectors.kind_of(path)],
            noun=f"arrays ({', '.join(stored.SUFFIXES)})",
            beside=ids.names_beside,
        ),
        Form(
            "mailbox",
            suffixes=mailboxes.SUFFIXES,
            is_named=mailboxes.is_mailbox,
            found={
                "text": lambda path, how, before: mailboxes.read_mailbox(
                    path, path.name, follow=True
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
            found={"text": lambda path, how, before: iter([documents.read_file(path, path.name)])},
            kinds=lambda path, how: ["text"],
            noun=f"a text ({documents.NOUN})",
            is_item=True,
        ),
        Form(
            "image",
            suffixes=images.SUFFIXES,
            is_named=images.is_image,
            found={
                "image": lambda path, how, before: iter(
                    [images.read_file(path, path.name, follow=True)]
                )
            },
            kinds=lambda path, how: ["image"],
            noun=f"an image ({', '.join(images.SUFFIXES)})",
            is_item=True,
        ),
    )
}


def form_named(path: Path) -> Form | None:
    """The form of a file by its name; None if no form has such a name."""
    return next((form for form in FORMS.values() if form.is_named(path)), None)


def form_of(path: Path) -> Form | None:
    """The form of a file by its name, or of a text whatever its name; None if it has no form."""
    return form_named(path) or (FORMS["text"] if documents.is_text(path) else None)


def forms_of(kind: str) -> list[Form]:
    """The forms that can hold items of the kind."""
    return [form for form in FORMS.values() if kind in form.found]
