"""A folder of text documents to Items: one item a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashret.items import Item
from indexer.corpus import decoding, files, markup
from indexer.corpus.skipped import Refused, Skipped

PLAIN_SUFFIXES = (".txt", ".md", ".rst")
HTML_SUFFIXES = (".html", ".htm")
SUFFIXES = PLAIN_SUFFIXES + HTML_SUFFIXES
#: The largest text that is read, in bytes.
MAX_BYTES = 64 << 20


def read_folder(root: Path) -> Iterator[Item | Skipped]:
    """Every document under `root`, and every other entry as `Skipped`, in a stable order."""
    for entry in files.walk(root):
        if isinstance(entry, Skipped):
            yield entry
        else:
            yield read_file(entry.path, entry.relative)


def read_file(path: Path, relative: str, *, follow: bool = False) -> Item | Skipped:
    """One document as an item whose id comes from its path `relative` to the source."""
    item_id = files.id_of(relative)
    try:
        text, encoding = read_text(path, follow=follow)
    except Refused as refused:
        return refused.skipped(item_id)
    return Item(item_id, text, encoding_metadata(encoding) | files.id_metadata(relative))


def read_text(path: Path, *, follow: bool = False) -> tuple[str, str]:
    """The text of a document and its encoding; raises `Refused`.

    By its suffix, in any case, a document is plain text or HTML; a file without one is plain
    text unless a NUL is among its first 4 KiB (20 Newsgroups and mail folders have such names).
    """
    suffix = path.suffix.lower()
    if suffix and suffix not in SUFFIXES:
        raise Refused("other-type", f"expected {', '.join(SUFFIXES)} or no suffix, got {suffix!r}")
    if not suffix:
        _require_no_nul(path, follow=follow)
    data = files.read_bytes(path, MAX_BYTES, follow=follow)
    is_html = suffix in HTML_SUFFIXES
    text, encoding = decoding.decode(data, markup.declared_charset(data) if is_html else "")
    if is_html:
        text = markup.text_of(text)
    if not text or text.isspace():
        raise Refused("empty-text", "expected text, got nothing but white space")
    return text, encoding


def encoding_metadata(encoding: str) -> dict[str, str]:
    """What an item says of its encoding: nothing where it is UTF-8."""
    return {} if encoding == "utf-8" else {"encoding": encoding}


def _require_no_nul(path: Path, *, follow: bool) -> None:
    if b"\0" in files.read_head(path, decoding.SAMPLE, follow=follow):
        raise Refused("other-type", "expected text in a file without a suffix, got binary data")
