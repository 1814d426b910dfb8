"""Read a folder of text documents: one item for each file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashret.arguments import resolve
from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import decoding, files
from indexer.corpus.extract import BETWEEN, FORMATS, UNNAMED, Document, Extract, Section, signatures
from indexer.corpus.guessing import Guess, by_majority
from indexer.corpus.passages import SectionStart, outlined
from indexer.corpus.reading import Reading

if TYPE_CHECKING:
    from hashret.workers.pool import Work

#: The suffixes of documents.
SUFFIXES = tuple(FORMATS)
#: What is read, in messages.
NOUN = ".txt, .md, .html, .eml, .ipynb, ... and any other file that is text"

_BATCH = 128  # entries that go to a worker together, to save messages
_BATCH_BYTES = 8 << 20  # bytes of documents after which a batch ends, for memory


@dataclass(frozen=True, slots=True)
class Unread:
    """A document that was found but not read yet: its path, and the id of its item."""

    id: str
    path: Path
    """Its suffix selects the format."""
    size: int
    """In bytes, when it was found."""
    metadata: Mapping[str, Any]
    follow: bool = False
    """Whether the path may be a symbolic link, as one that the user names may."""
    data: bytes | None = None
    """Its bytes, for a document inside another file; None: those of the file at `path`."""

    def item(self, document: Document) -> Item:
        """The item, now that its document is read."""
        told = dict(document.metadata) | decoding.encoding_metadata(document.encoding)
        item = Item(self.id, document.text, told | dict(self.metadata))
        return outlined(item, outline_of(document))


def outline_of(document: Document) -> list[SectionStart]:
    """Where the sections of a document begin in its text."""
    found: list[SectionStart] = []
    start = 0
    for one in document.sections:
        if one.text:
            found.append(SectionStart(start, one.title, one.page))
            start += len(one.text) + len(BETWEEN)
    return found


#: An entry of a source before its documents are read.
Found = Item | Skipped | Unread


def is_document(path: Path) -> bool:
    """Whether a file has the suffix of a document, or no suffix."""
    return not path.suffix or path.suffix.lower() in SUFFIXES


def most_bytes(path: Path) -> int:
    """The most bytes of a document of this name that are read."""
    return FORMATS.get(path.suffix.lower(), FORMATS[UNNAMED]).max_bytes


def unread(entry: files.Entry, *, follow: bool) -> Unread:
    """The document of an entry; `follow` says whether its path may be a symbolic link."""
    return Unread(entry.id, entry.path, entry.size, entry.metadata, follow, entry.data)


def decoded(
    found: Iterable[Found], workers: int = 1, reading: Reading | None = None
) -> Iterator[Item | Skipped]:
    """The entries in the same order, with every document read by workers (`hashret.workers.pool`).

    If an encoding has to be guessed, a short text gets the encoding of most documents of its folder
    in the same batch (`by_majority`). `reading` counts the guesses.

    No entry is read ahead and no worker is started before the first document. On a system without
    workers, this process reads the documents.
    """
    stream = iter(found)
    for one in stream:
        if isinstance(one, Unread):
            yield from _decoded(chain([one], stream), workers, reading or Reading())
        else:
            yield one


def _decoded(found: Iterator[Found], n: int, how: Reading) -> Iterator[Item | Skipped]:
    from hashret.workers.pool import AVAILABLE, Workers

    chunks = _chunks(found)
    if not AVAILABLE:
        for chunk in chunks:
            results = reading(how.encoding)(_unread(chunk), lambda at: None)
            yield from _joined(chunk, results, how)
        return
    chunks, again = tee(chunks)
    with Workers("indexer.corpus.documents:reading", [how.encoding], n=n) as workers:
        for chunk, read in zip(chunks, workers.map(map(_unread, again)), strict=True):
            yield from _joined(chunk, read, how)


def reading(encoding: str | None) -> Work:
    """The task of the workers: read documents; the results are as `_packed` returns them."""
    from hashret.workers.pool import each

    def one(document: tuple[Path, bool, bytes | None]) -> list[Any]:
        path, follow, data = document
        return _packed(read_document(path, encoding, follow=follow, data=data))

    return each(one)


def _packed(document: Document) -> list[Any]:
    """A document as plain data: [[text in UTF-8, title, page] ...], metadata, encoding, guess."""
    sections = [[one.text.encode(), one.title, one.page] for one in document.sections]
    guess = document.guess
    fields = None if guess is None else [guess.encoding, guess.n_high, guess.rivals]
    return [sections, dict(document.metadata), document.encoding, fields]


def _unpacked(packed: list[Any]) -> Document:
    sections, metadata, encoding, _ = packed
    return Document(
        [Section(text.decode(), title, page) for text, title, page in sections], metadata, encoding
    )


def _chunks(found: Iterator[Found]) -> Iterator[list[Found]]:
    """The entries in batches, which end with so many entries or so many bytes."""
    chunk: list[Found] = []
    size = 0
    for one in found:
        chunk.append(one)
        if isinstance(one, Unread):
            size += one.size
        elif isinstance(one, Item) and isinstance(one.payload, str):
            size += len(one.payload)
        if len(chunk) == _BATCH or size > _BATCH_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _unread(chunk: list[Found]) -> list[tuple[Path, bool, bytes | None]]:
    """The (path, follow, data) of each document of a batch, as workers take them."""
    return [(one.path, one.follow, one.data) for one in chunk if isinstance(one, Unread)]


def _joined(chunk: list[Found], read: list[Any], how: Reading) -> Iterator[Item | Skipped]:
    """The entries of a batch, with the documents replaced by what the workers read."""
    unread = [one for one in chunk if isinstance(one, Unread)]
    results = iter(_agreed(unread, read, how))
    for one in chunk:
        if not isinstance(one, Unread):
            yield one
        elif isinstance(result := next(results), Refused):
            yield result.skipped(one.id)
        else:
            yield one.item(_unpacked(result))


def _agreed(unread: list[Unread], read: list[Any], how: Reading) -> list[Any]:
    """The results, with short texts decoded as most others of their folder; counts the guesses."""
    folders: dict[Path, list[int]] = {}
    for i, (one, result) in enumerate(zip(unread, read, strict=True)):
        if not isinstance(result, Refused) and result[3] is not None:
            folders.setdefault(one.path.parent, []).append(i)
    agreed = list(read)
    for places in folders.values():
        guesses = [Guess("", *read[i][3]) for i in places]
        for i, guess, encoding in zip(places, guesses, by_majority(guesses), strict=True):
            if encoding != guess.encoding:
                agreed[i] = _read_as(read[i], guess.encoding, encoding)
            how.guesses[agreed[i][2]] += 1
    return agreed


def _read_as(result: list[Any], guessed: str, encoding: str) -> list[Any]:
    """The result decoded with another encoding than the guessed one, if all its bytes allow it."""
    sections, metadata, _, guess = result
    try:
        raw = [text.decode().encode(guessed) for text, _, _ in sections]
        texts = [data.decode(encoding).encode() for data in raw]
    except UnicodeError:
        return result
    again = [[text, *rest] for text, (_, *rest) in zip(texts, sections, strict=True)]
    return [again, metadata, decoding.shown_name(encoding, b"".join(raw)), guess]


def read_document(
    path: Path, encoding: str | None = None, *, follow: bool = False, data: bytes | None = None
) -> Document:
    """What a document says, its texts decoded as `decoding.decode` does it; raises `Refused`.

    The suffix, in upper or lower case, selects the format (`extract.FORMATS`). A file with another
    suffix, or with none, as in 20 Newsgroups or mail folders, is plain text, or is refused by its
    first 4 KiB. A file whose first bytes show another format is refused. With `data`, these are its
    bytes, and nothing is opened.
    """
    suffix = path.suffix.lower()
    is_known = suffix in FORMATS
    form = FORMATS[suffix if is_known else UNNAMED]
    if form.needs and _is_missing(form.needs):
        reason = f"expected the package {form.needs} to read {suffix}; install hashret[documents]"
        raise Refused("needs-extra", reason)
    if data is None:
        if not is_known:
            _require_text(files.read_head(path, decoding.SAMPLE, follow=follow), suffix)
        data = files.read_bytes(path, form.max_bytes, follow=follow)
    elif not is_known:
        _require_text(data[: decoding.SAMPLE], suffix)
    signatures.require(suffix, data)
    extract: Extract = resolve({suffix: form.extract}, suffix, "document")
    try:
        found = extract(data, partial(decoding.decode, encoding=encoding))
    except Refused as refused:
        if refused.error_class == "not-text" and suffix and not is_known:
            raise _other_type(suffix) from refused
        raise
    if all(not one.text or one.text.isspace() for one in found.sections):
        raise Refused("empty-text", "expected text, got nothing but white space")
    return found


@cache
def _is_missing(package: str) -> bool:
    """Whether a package cannot be imported; tried once in a process."""
    try:
        import_module(package)
    except ImportError:
        return True
    return False


def is_text(path: Path) -> bool:
    """Whether a file may be text, by its first bytes; an empty file is none."""
    try:
        head = files.read_head(path, decoding.SAMPLE, follow=True)
        return bool(head) and decoding.is_text(head)
    except Refused:
        return False


def _require_text(head: bytes, suffix: str) -> None:
    # without a suffix only NUL counts: posts and manual pages may have many backspaces
    is_suspect = bool(suffix) or b"\0" in head
    if is_suspect and (not decoding.is_text(head) or not head):
        raise _other_type(suffix, signatures.described(head))


def _other_type(suffix: str, described: str = "") -> Refused:
    where = f"a {suffix} file" if suffix else "a file without a suffix"
    got = f"{described or 'binary data'} in {where}"
    advice = f"; save it as {newer}" if (newer := signatures.NEWER.get(suffix)) else ""
    return Refused("other-type", f"expected text ({NOUN}), got {got}{advice}")
