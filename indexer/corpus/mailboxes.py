"""Read mailboxes (.mbox): one item for each mail, which workers parse later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import documents, files
from indexer.corpus.extract import FORMATS

SUFFIXES = (".mbox",)
#: The largest mailbox in an archive, in bytes: it is held in memory.
MAX_ARCHIVED = 128 << 20

_BEGINS = b"From "
_QUOTED = re.compile(rb">+From ")  # a line of a mail that began with "From ", as mboxrd writes it
_MAIL = Path("mail.eml")  # its suffix is what each mail is read as
_CHUNK = 1 << 20  # bytes of a line that are read at a time


def is_mailbox(path: Path) -> bool:
    """Whether a file has the suffix of a mailbox."""
    return path.suffix.lower() in SUFFIXES


def read_mailbox(
    entry: files.Entry, *, follow: bool = False
) -> Iterator[documents.Unread | Skipped]:
    """Every mail of a mailbox, unread; memory does not grow with the mailbox.

    The id is ``NAME.mbox#N``, N from 1: numbers are unique without remembering any, which a
    stranger's Message-ID is not, and mail is added to the end of a mailbox. A mail that is too
    large, and a file that is no mailbox, is `Skipped`.
    """
    name, metadata = entry.id, entry.metadata
    del metadata["size"]  # that of the whole mailbox, and that of its last change, say nothing of
    metadata.pop("modified", None)  # a mail, and would change all of them with each new one
    limit = FORMATS[_MAIL.suffix].max_bytes
    n = 0
    try:
        for n, data in enumerate(_mails(entry, limit, follow=follow), 1):
            item_id = f"{name}#{n}"
            if data is None:
                reason = f"expected a mail of at most {limit:,} bytes, got a larger one"
                yield Skipped(item_id, reason, "too-large")
            else:
                yield documents.Unread(item_id, _MAIL, len(data), metadata, data=data)
        if not n:
            yield Skipped(name, "expected a mailbox with mails, got an empty file", "empty-text")
    except Refused as refused:
        yield refused.skipped(name)
    except OSError as error:
        yield files.refusal_of(error).skipped(name)


def _mails(entry: files.Entry, limit: int, *, follow: bool) -> Iterator[bytes | None]:
    """The bytes of each mail with its line "From "; None for one of more than `limit` bytes."""
    data = entry.data
    with (
        BytesIO(data)
        if data is not None
        else files.open_regular(entry.path, follow=follow) as stream
    ):
        mail: list[bytes] = []
        size = 0
        was_empty = is_start = True  # a mail begins after an empty line; a part may be half a line
        while part := stream.readline(_CHUNK):
            if was_empty and part.startswith(_BEGINS):
                if mail:
                    yield b"".join(mail) if size <= limit else None
                mail, size = [], 0
            elif not mail:
                if part.strip():
                    raise Refused("damaged-document", 'expected a mailbox, which begins "From "')
                continue
            size += len(part)
            if size <= limit:
                mail.append(part[1:] if _QUOTED.match(part) else part)
            was_empty = is_start and part in (b"\n", b"\r\n")
            is_start = part.endswith(b"\n")
        if mail:
            yield b"".join(mail) if size <= limit else None
