"""Documents that are zip files: Word, PowerPoint, OpenDocument, EPUB. Nothing is ever unpacked.

The sizes in a zip file are claims of its author. What counts here is what comes out while it is
read: a member beyond the limits is given up at the limit. A member's name is only ever compared
with names; none becomes a path.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from hashret.workers.refusals import Refused

#: The most members of a zip file that is read. Long books have some hundreds.
MAX_MEMBERS = 10_000
#: The most bytes that the members read of one file may have together, unpacked.
MAX_BYTES = 256 << 20
#: The most bytes that come out for each byte of the file, once it is more than `FREE_BYTES`. XML of
#: real documents has up to some 50; a bomb of the usual method (deflate) has 1,000.
MAX_RATIO = 200
#: Bytes up to which the ratio does not count.
FREE_BYTES = 4 << 20

# Raised by zipfile and zlib for bytes that are damaged or were made up.
_DAMAGE = (BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
_MEMBER = b"PK\x01\x02"  # begins each entry of a directory
_IS_ENCRYPTED = 0x1  # in the flags of a member


class Zipped:
    """The members of a zip file that is given as bytes, read within limits.

    `noun` is what it ought to be, for messages: "an EPUB". Raises `Refused`: "damaged-document",
    "encrypted", or "too-large" for one with too many members.
    """

    def __init__(self, data: bytes, noun: str) -> None:
        self.noun = noun
        self._left = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * len(data)))
        # counted before zipfile makes an object of each entry
        if (n_members := data.count(_MEMBER)) > MAX_MEMBERS:
            raise Refused(
                "too-large",
                f"expected {noun} of at most {MAX_MEMBERS:,} members, got {n_members:,}",
            )
        try:
            self._file = ZipFile(io.BytesIO(data))
        except _DAMAGE as error:
            raise self.damaged(error) from error
        self._members = {info.filename: info for info in self._file.infolist()}
        if any(info.flag_bits & _IS_ENCRYPTED for info in self._members.values()):
            raise Refused("encrypted", f"expected {noun} without a password, got one with")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises `Refused`: "damaged-document" if it is missing or damaged, "bomb" if it goes beyond
        the limits of the file together with what was read before.
        """
        if name not in self._members:
            raise self.damaged(f"it has no {name}")
        return self._read(self._members[name])

    def read_all(self, check: Callable[[str, bytes], None]) -> None:
        """Read every member once, `check` its name and bytes, and keep none.

        Afterwards a library may read them, too.
        """
        for info in self._file.infolist():
            check(info.filename, self._read(info))

    def damaged(self, reason: object) -> Refused:
        """The refusal of this file as damaged."""
        return damaged(self.noun, reason)

    def _read(self, info: ZipInfo) -> bytes:
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            # the formats allow no others, and zipfile bounds only these while it reads
            raise self.damaged(f"method {info.compress_type} of compression is none of its format")
        try:
            with self._file.open(info) as stream:
                data = stream.read(self._left + 1)
        except _DAMAGE as error:
            raise self.damaged(error) from error
        if len(data) > self._left:
            raise Refused(
                "bomb",
                f"expected {self.noun}, got a file that unpacks to more than "
                f"{MAX_RATIO} times its size or {MAX_BYTES >> 20} MiB",
            )
        self._left -= len(data)
        return data


def damaged(noun: str, reason: object) -> Refused:
    """The refusal of a document as damaged; `noun` is what it ought to be: "a PDF"."""
    return Refused("damaged-document", f"expected {noun}, got a damaged file: {reason}")
