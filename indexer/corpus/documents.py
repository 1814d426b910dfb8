"""Turn a folder of text documents into items, one for each file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashret.items import Item
from hashret.registry import resolve
from indexer.corpus import decoding, files
from indexer.corpus.extract import EXTRACTORS, UNNAMED, Extract
from indexer.corpus.guessing import Guess, by_majority
from indexer.corpus.reading import Reading
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
    """A document that was found but not read yet: its path, and the id of its item."""

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


#: The entries that a source yields before its documents are read.
Found = Item | Skipped | Unread


def is_document(path: Path) -> bool:
    """Whether a file's name is that of a document, or says nothing."""
    return not path.suffix or path.suffix.lower() in SUFFIXES


def read_folder(root: Path, *, follow: bool = False) -> Iterator[Unread | Skipped]:
    """Every document under `root`, and every other entry as `Skipped`, in a stable order.

    `follow`: links are followed, wherever they lead.
    """
    for entry in files.walk(root, follow=follow):
        if isinstance(entry, Skipped):
            yield entry
        else:
            said = files.id_metadata(entry.relative)
            yield Unread(files.id_of(entry.relative), entry.path, entry.size, said, follow)


def read_file(path: Path, relative: str) -> Unread:
    """The one document that the user named, perhaps by a link; its id comes from `relative`."""
    said = files.id_metadata(relative)
    return Unread(files.id_of(relative), path, path.stat().st_size, said, follow=True)


def decoded(
    found: Iterable[Found], workers: int = 1, reading: Reading | None = None
) -> Iterator[Item | Skipped]:
    """The same in the same order, with every document read by workers (`indexer.workers.pool`).

    Where encodings are guessed, a short text follows the others of its folder (`by_majority`,
    of those that stand within a hundred documents); `reading` counts these guesses.

    Before the first document nothing is read ahead and no worker started. Where the system has
    none, documents are read here.
    """
    stream = iter(found)
    for one in stream:
        if isinstance(one, Unread):
            yield from _decoded(chain([one], stream), workers, reading or Reading())
        else:
            yield one


def _decoded(found: Iterator[Found], n: int, how: Reading) -> Iterator[Item | Skipped]:
    from indexer.workers.pool import AVAILABLE, Workers

    chunks = _chunks(found)
    if not AVAILABLE:
        for chunk in chunks:
            yield from _joined(chunk, reading(how.encoding)(_asked(chunk), lambda at: None), how)
        return
    chunks, again = tee(chunks)
    with Workers("indexer.corpus.documents:reading", [how.encoding], n=n) as workers:
        for chunk, read in zip(chunks, workers.map(map(_asked, again)), strict=True):
            yield from _joined(chunk, read, how)


def reading(encoding: str | None) -> Work:
    """The task of the workers: a document's text, in UTF-8, its encoding, and the guess it is."""
    from indexer.workers.pool import each

    def one(asked: tuple[Path, bool]) -> tuple[bytes, str, list[Any] | None]:
        text = read_text(asked[0], encoding, follow=asked[1])
        found = text.guess
        guessed = None if found is None else [found.encoding, found.n_high, found.rivals]
        return text.text.encode(), text.encoding, guessed

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


def _joined(chunk: list[Found], read: list[Any], how: Reading) -> Iterator[Item | Skipped]:
    unread = [one for one in chunk if isinstance(one, Unread)]
    results = iter(_agreed(unread, read, how))
    for one in chunk:
        if not isinstance(one, Unread):
            yield one
        elif isinstance(result := next(results), Refused):
            yield result.skipped(one.id)
        else:
            text, encoding, _ = result
            yield one.item(text.decode(), encoding)


def _agreed(unread: list[Unread], read: list[Any], how: Reading) -> list[Any]:
    """The results with the guesses of each folder agreed on, and counted."""
    folders: dict[Path, list[int]] = {}
    for i, (one, result) in enumerate(zip(unread, read, strict=True)):
        if not isinstance(result, Refused) and result[2] is not None:
            folders.setdefault(one.path.parent, []).append(i)
    agreed = list(read)
    for places in folders.values():
        guesses = [Guess("", *read[i][2]) for i in places]
        for i, guess, encoding in zip(places, guesses, by_majority(guesses), strict=True):
            if encoding != guess.encoding:
                agreed[i] = _read_as(read[i], guess.encoding, encoding)
            how.guesses[agreed[i][1]] += 1
    return agreed


def _read_as(result: Any, guessed: str, encoding: str) -> Any:
    """A result in another encoding than the one guessed, if all of its text allows that."""
    try:
        data = result[0].decode().encode(guessed)
        return data.decode(encoding).encode(), decoding.shown_name(encoding, data), result[2]
    except UnicodeError:
        return result


def read_text(path: Path, encoding: str | None = None, *, follow: bool = False) -> decoding.Decoded:
    """The text of a document and its encoding, `encoding` if nothing else is shown; or `Refused`.

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
    found = extract(data, partial(decoding.decode, encoding=encoding))
    if not found.text or found.text.isspace():
        raise Refused("empty-text", "expected text, got nothing but white space")
    return found


def encoding_metadata(encoding: str) -> dict[str, str]:
    """What an item says of its encoding: nothing where it is UTF-8."""
    return {} if encoding == "utf-8" else {"encoding": encoding}


def _require_no_nul(path: Path, *, follow: bool) -> None:
    if b"\0" in files.read_head(path, decoding.SAMPLE, follow=follow):
        raise Refused("other-type", "expected text in a file without a suffix, got binary data")
