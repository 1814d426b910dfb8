"""A folder of text documents to Items: one item a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashret.items import Item
from hashret.registry import resolve
from indexer.corpus import decoding, files
from indexer.corpus.extract import EXTRACTORS, UNNAMED, Extract
from indexer.refusals import Refused, Skipped

if TYPE_CHECKING:
    from indexer.workers.pool import Work

SUFFIXES = tuple(EXTRACTORS)
#: The largest text that is read, in bytes.
MAX_BYTES = 16 << 20

# Documents, with what stands between them, that go to a worker together.
_BATCH = 128
_BATCH_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Unread:
    """A document that is found and not read yet: what its item will be, and where it stands."""

    id: str
    path: Path
    size: int
    """In bytes, when it was found."""
    metadata: Mapping[str, Any]
    follow: bool = False
    """Whether the path may be a link, as for what the user named."""

    def item(self, text: str, encoding: str) -> Item:
        """The item, now that its text is read."""
        return Item(self.id, text, encoding_metadata(encoding) | dict(self.metadata))


#: What a source yields before its documents are read.
Found = Item | Skipped | Unread


def is_document(path: Path) -> bool:
    """Whether a file's name is that of a document, or says nothing."""
    return not path.suffix or path.suffix.lower() in SUFFIXES


def read_folder(root: Path) -> Iterator[Unread | Skipped]:
    """Every document under `root`, and every other entry as `Skipped`, in a stable order."""
    for entry in files.walk(root):
        if isinstance(entry, Skipped):
            yield entry
        else:
            said = files.id_metadata(entry.relative)
            yield Unread(files.id_of(entry.relative), entry.path, entry.size, said)


def read_file(path: Path, relative: str) -> Unread:
    """The one document that the user named, perhaps by a link; its id comes from `relative`."""
    said = files.id_metadata(relative)
    return Unread(files.id_of(relative), path, path.stat().st_size, said, follow=True)


def decoded(found: Iterable[Found], workers: int = 1) -> Iterator[Item | Skipped]:
    """The same in the same order, with every document read by workers (`indexer.workers.pool`).

    Before the first document nothing is read ahead and no worker started. Where the system has
    none, documents are read here.
    """
    stream = iter(found)
    for one in stream:
        if isinstance(one, Unread):
            yield from _decoded(chain([one], stream), workers)
        else:
            yield one


def _decoded(found: Iterator[Found], n: int) -> Iterator[Item | Skipped]:
    from indexer.workers.pool import AVAILABLE, Workers

    chunks = _chunks(found)
    if not AVAILABLE:
        for chunk in chunks:
            yield from _joined(chunk, reading()(_asked(chunk), lambda at: None))
        return
    chunks, again = tee(chunks)
    with Workers("indexer.corpus.documents:reading", n=n) as workers:
        for chunk, read in zip(chunks, workers.map(map(_asked, again)), strict=True):
            yield from _joined(chunk, read)


def reading() -> Work:
    """The task of the workers: a document's text, in UTF-8, and its encoding."""
    from indexer.workers.pool import each

    def one(asked: tuple[Path, bool]) -> tuple[bytes, str]:
        text, encoding = read_text(asked[0], follow=asked[1])
        return text.encode(), encoding

    return each(one)


def _chunks(found: Iterator[Found]) -> Iterator[list[Found]]:
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


def _asked(chunk: list[Found]) -> list[tuple[Path, bool]]:
    return [(one.path, one.follow) for one in chunk if isinstance(one, Unread)]


def _joined(chunk: list[Found], read: list[Any]) -> Iterator[Item | Skipped]:
    results = iter(read)
    for one in chunk:
        if not isinstance(one, Unread):
            yield one
        elif isinstance(result := next(results), Refused):
            yield result.skipped(one.id)
        else:
            text, encoding = result
            yield one.item(text.decode(), encoding)


def read_text(path: Path, *, follow: bool = False) -> tuple[str, str]:
    """The text of a document and its encoding; raises `Refused`.

    Its suffix, in any case, says how it is read (`extract.EXTRACTORS`); a file without one is
    plain text (20 Newsgroups and mail folders have such names) unless a NUL is among its first
    4 KiB.
    """
    suffix = path.suffix.lower()
    if not is_document(path):
        raise Refused("other-type", f"expected {', '.join(SUFFIXES)} or no suffix, got {suffix!r}")
    if not suffix:
        _require_no_nul(path, follow=follow)
    data = files.read_bytes(path, MAX_BYTES, follow=follow)
    extract: Extract = resolve(EXTRACTORS, suffix or UNNAMED, "document")
    text, encoding = extract(data, decoding.decode)
    if not text or text.isspace():
        raise Refused("empty-text", "expected text, got nothing but white space")
    return text, encoding


def encoding_metadata(encoding: str) -> dict[str, str]:
    """What an item says of its encoding: nothing where it is UTF-8."""
    return {} if encoding == "utf-8" else {"encoding": encoding}


def _require_no_nul(path: Path, *, follow: bool) -> None:
    if b"\0" in files.read_head(path, decoding.SAMPLE, follow=follow):
        raise Refused("other-type", "expected text in a file without a suffix, got binary data")
