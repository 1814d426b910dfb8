"""What sort of file is it, by the ending of its name? Counted in bounded memory.

Names come from strangers, so counts keep few endings, and none that is long or can't be shown.
"""

from __future__ import annotations

import re
from collections import Counter

#: What stands for a name without an ending, and for an ending that is not shown.
NONE, OTHER = "without an ending", "of another ending"
_MOST = 200  # endings that a count keeps
_LONGEST = 12  # letters of an ending
_PART = re.compile(r"[#:][0-9]+$")  # the number of a passage, or of a row


def ending_of(item_id: str) -> str:
    """The ending of the file that an item is made of, such as ".txt", by the item's id."""
    name = _PART.sub("", item_id).rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    if not stem.strip(".") or not ending:
        return NONE
    shown = ending.isprintable() and not ending.isspace() and len(ending) <= _LONGEST
    return (dot + ending).lower() if shown else OTHER


def counted(counts: Counter[str], ending: str, n: int = 1) -> None:
    """Add to a count; as `OTHER` if it has many endings already."""
    counts[ending if ending in counts or len(counts) < _MOST else OTHER] += n
