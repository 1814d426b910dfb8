"""Which items have a label, and which: a field of their metadata, as the numbers of classes.

Each value is a class: a string, a number, true or false, or a list as a whole. Values are the same
if they are equal as JSON. A field that is missing, null or empty is an unknown label.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret.errors import InputError

#: Fewest items a class, on average, that can teach what is common to them.
_FEW_EACH = 5.0
#: The least share of items with a label that goes without a warning.
_FEW = 0.05
#: Metadata fields that an error names.
_NAMED = 12


@dataclass(frozen=True, slots=True)
class ItemLabels:
    """The labels of n items by a metadata field."""

    field: str
    numbers: np.ndarray
    """(n,) int64: the class of each item, numbered as they came, and -1 where it is not known."""

    @property
    def n_known(self) -> int:
        """The number of items with a label."""
        return int((self.numbers >= 0).sum())

    @property
    def n_classes(self) -> int:
        """The number of different labels."""
        return int(self.numbers.max(initial=-1)) + 1

    def take(self, rows: np.ndarray) -> ItemLabels:
        """Those of some items; classes that none of them has are left out."""
        numbers: dict[Any, int] = {}
        known = [None if one < 0 else one for one in self.numbers[rows].tolist()]
        return ItemLabels(self.field, numbered(known, numbers))

    def require_learnable(self, fields: Iterable[str] = ()) -> None:
        """Raise InputError unless two classes have two items each; `fields` are what items have."""
        if not self.n_classes:
            others = sorted(set(fields))
            named = ", ".join(f"{name!r:.60}" for name in others[:_NAMED])
            named += ", ..." * (len(others) > _NAMED)
            raise InputError(
                f"label: expected a field of the items' metadata, got {self.field!r:.80}, of which "
                f"none has a value; choose one{f' of {named}' if named else ''}, or leave it out"
            )
        sizes = np.bincount(self.numbers[self.numbers >= 0])
        if (sizes > 1).sum() >= 2:
            return
        if len(sizes) > 1 and sizes.max() == 1:
            got = f"a different one for each of {self.n_known:,} items (an id?)"
        else:
            got = f"{len(sizes):,} for {self.n_known:,} of {len(self.numbers):,} items"
        raise InputError(
            f"label: expected two values or more of {self.field!r:.80} that several items have, "
            f"got {got}; choose another field, label more items, or leave it out"
        )

    def warnings(self) -> list[str]:
        """What is doubtful about labels that can be learned from."""
        known = f"label: {self.n_known:,} of {len(self.numbers):,} items have one"
        if self.n_known < _FEW_EACH * self.n_classes:
            few = f"{known} of {self.n_classes:,} values: too few each to learn much from"
            return [f"{few}; label more items, or choose another field than {self.field!r:.80}"]
        if self.n_known < _FEW * len(self.numbers):
            return [f"{known}: few, so the codes may be hardly better; label more items"]
        return []


def numbered(values: Sequence[Any], numbers: dict[str, int]) -> np.ndarray:
    """A number for each value, -1 for an unknown label, (n,); values equal as JSON have the same.

    `numbers` is extended with the new values.
    """
    names = [json.dumps(v, sort_keys=True) if _is_known(v) else None for v in values]
    return np.array(
        [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], np.int64
    )


def _is_known(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value not in ([], {})
