"""The forms of sources: one row for each, with its suffixes and how its items are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from indexer.corpus import archives, documents, files, ids, images
from indexer.corpus.arrays import stored, vectors
from indexer.corpus.reading import Reading
from indexer.corpus.tables import table
from indexer.corpus.tables.rows import Row
from indexer.refusals import Refused, Skipped

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
    """Whether a file of this form is a single item, of which a folder can have many."""


def names_in(source: Path, how: Reading) -> Iterator[files.Entry | Skipped]:
    """The first entries of a folder or an archive; no file is read."""
    return islice(archives.entries(source, how, lambda path: 0), SAMPLE_FILES)


def _folder_kinds(source: Path, how: Reading) -> Iterator[str]:
    """The kind of each of the first files of a folder or an archive that is an item."""
    for entry in names_in(source, how):
        if isinstance(entry, files.Entry):
            for form in FORMS.values():
                if form.is_item and form.is_named(entry.path):
                    yield from form.kinds(entry.path, how)


def _table_kind(path: Path, how: Reading) -> Iterator[str]:
    """ "image" if most of the first rows have the path of an image and no text, else "text"."""
    field = table.payload_field("text", how)
    first = islice(table.read_rows(path, how), _SAMPLE_ROWS)
    rows = [row.fields for row in first if type(row) is Row]
    paths = [str(fields["path"]) for fields in rows if "path" in fields and field not in fields]
    n_images = sum(images.is_image(Path(name)) for name in paths)
    yield "image" if 2 * n_images > len(rows) else "text"


def _file(path: Path, read: Callable[..., documents.Found]) -> Iterator[documents.Found]:
    """The item of a file that the user names, which may be a link."""
    try:
        yield read(files.entry_of(path, path.name, follow=True), follow=True)
    except Refused as refused:
        yield refused.skipped(files.id_of(path.name))


FOLDER = Form(
    "folder",
    suffixes=(),
    is_named=lambda path: False,
    found={
        "text": lambda path, how, before: documents.read_folder(path, how),
        "image": lambda path, how, before: images.read_folder(path, how),
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
            suffixes=table.SUFFIXES,
            is_named=table.is_table,
            found={
                "text": lambda path, how, before: table.read_table(path, "text", how),
                "image": lambda path, how, before: table.read_table(path, "image", how),
            },
            kinds=_table_kind,
            advice="table: name it as a source",
            noun=f"a table ({', '.join(table.SUFFIXES)}, also with .gz)",
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
            advice="array: name it as a source",
            noun=f"arrays ({', '.join(stored.SUFFIXES)})",
            beside=ids.names_beside,
        ),
        Form(
            "text",
            suffixes=documents.SUFFIXES,
            is_named=documents.is_document,
            found={"text": lambda path, how, before: _file(path, documents.unread)},
            kinds=lambda path, how: ["text"],
            advice="texts: --kind text",
            noun=f"a text ({', '.join(documents.SUFFIXES)})",
            is_item=True,
        ),
        Form(
            "image",
            suffixes=images.SUFFIXES,
            is_named=images.is_image,
            found={"image": lambda path, how, before: _file(path, images.read_file)},
            kinds=lambda path, how: ["image"],
            advice="images: --images-to",
            noun=f"an image ({', '.join(images.SUFFIXES)})",
            is_item=True,
        ),
    )
}


def form_named(path: Path) -> Form | None:
    """The form of a file by its name; None if no form has such a name."""
    return next((form for form in FORMS.values() if form.is_named(path)), None)


def forms_of(kind: str) -> list[Form]:
    """The forms that can hold items of the kind."""
    return [form for form in FORMS.values() if kind in form.found]
