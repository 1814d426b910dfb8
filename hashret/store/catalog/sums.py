"""Checksums of what the catalog says, so that no damaged row is believed.

Every row of every table carries one over all its values; which segments and removed rows a commit
shows is covered by the commit's `state`, and which commit is the last one by a row of `meta`. They
find damage, not malice: who changes a row on purpose can change its checksum too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from hashret.store.segments.segment import Segment

#: Keys of `meta`: the checksum of what never changes, and that of the newest commit's row.
FIXED, LAST = "checksum", "last"


def checksum(*values: Any) -> int:
    """The first 8 bytes, signed, of BLAKE2b over the values in order: str, int, bytes or None."""
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        part = value if type(value) is bytes else str(value).encode()
        digest.update(len(part).to_bytes(8, "little") + part)
    return int.from_bytes(digest.digest(), "little", signed=True)


def state_of(segments: Iterable[Segment]) -> int:
    """A checksum over the segments, in order, and the rows of each that are not shown."""
    return checksum(
        *(checksum(s.name, s.first_row, s.n_rows, s.n_coded, s.removed.tobytes()) for s in segments)
    )
