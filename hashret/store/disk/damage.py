"""What is not as it was written, in plain words."""

from __future__ import annotations

from pathlib import Path

from hashret.errors import DamagedError

#: What to do about damage that nothing here mends.
RESTORE = "restore the collection from a copy or index it again"
INDEX_AGAIN = "index the collection again"


def damaged(where: Path | str, expected: str, got: object, remedy: str = RESTORE) -> DamagedError:
    """The error for a file, or a part of the catalog, that is not what was `expected` there."""
    return DamagedError(f"{where}: expected {expected}, got {got}; {remedy}")
