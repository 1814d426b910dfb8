"""Standard input as a source: copied to a file, since a run reads its sources more than once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from hashret.errors import InputError
from indexer.corpus import decoding
from indexer.corpus.tables.compressed import DAMAGED, decompressed

#: How the user names standard input among the sources.
NAME = "-"

_MAX_BYTES = 64 << 30  # bytes that are copied; nobody fills a disk by a pipe that never ends
_CHUNK = 1 << 20
# The first bytes of a compressed stream -> its suffix.
_COMPRESSED = {
    b"\x1f\x8b": ".gz",
    b"BZh": ".bz2",
    b"\xfd7zXZ\0": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
}
# The first bytes of a table -> its suffix. An Arrow stream begins with ff ff ff ff.
_TABLES = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\xff\xff\xff\xff": ".arrow",
    b"SQLite format 3\0": ".sqlite",
    b"[": ".json",
    b"{": ".jsonl",
}


@contextmanager
def copied(stream: IO[bytes]) -> Iterator[Path]:
    """Yield the path of a file with all bytes of `stream`; its suffix says what table it is.

    What no first bytes show is a CSV, with tabs if its first line has one. The file is deleted at
    the end. Raises InputError if there is nothing to read, or no room for it.
    """
    with TemporaryDirectory(prefix="hashret-") as folder:
        plain = Path(folder) / "stdin"
        try:
            with plain.open("xb") as copy:
                size = 0
                while data := stream.read(_CHUNK):
                    size += copy.write(data)
                    if size > _MAX_BYTES:
                        raise InputError(
                            f"standard input: expected at most {_MAX_BYTES:,} bytes, got more; "
                            "split it"
                        )
        except OSError as error:
            raise InputError(
                f"standard input: expected room for it in {folder}, got: {error.strerror}; set "
                "TMPDIR to a folder with room"
            ) from error
        if not size:
            raise InputError("standard input: expected a table, got nothing; pipe one into it")
        yield plain.rename(plain.with_name("stdin" + _suffix_of(plain)))


def _suffix_of(path: Path) -> str:
    """The suffix of a table by its first bytes, with that of a compressed file after it."""
    with path.open("rb") as raw:
        head = raw.read(decoding.SAMPLE)
        compressed = _shown_by(head, _COMPRESSED)
        if compressed:
            raw.seek(0)
            try:
                head = decompressed(raw, path.with_suffix(compressed)).read(decoding.SAMPLE)
            except DAMAGED:
                head = b"{"  # whatever it is, reading says that it is damaged
    return _table_suffix(head) + compressed


def _table_suffix(head: bytes) -> str:
    encoding = decoding.sniff(head) or "utf-8"
    text = head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    shown = _shown_by(head, _TABLES) or _shown_by(text[:1].encode("utf-8", "replace"), _TABLES)
    if shown:
        return shown
    return ".tsv" if "\t" in io.StringIO(text).readline() else ".csv"


def _shown_by(head: bytes, known: dict[bytes, str]) -> str:
    return next((suffix for magic, suffix in known.items() if head.startswith(magic)), "")
