"""Which stored or new items are outliers, how sure is that, and what in them is odd?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, overload

import numpy as np

from hashret.arguments import require_number, whole
from hashret.features.left_out import Part
from hashret.items import Item
from hashret.outliers.judging import By, Judge, Judged, Refusal
from hashret.outliers.usual import discoveries
from hashret.snapshot import Snapshot

_SHOWN_PARTS = 5  # odd parts of an item that are told


class Odd(NamedTuple):
    """A part of an outlier (a word, a place, a number), and what share of its error it causes.

    0.1: left out, the error would be a tenth smaller.
    """

    part: Part
    share: float


class Outlier(NamedTuple):
    """An item that is unlike the usual ones.

    `p_value` is the share of usual items that are at least as unlike the others, itself counted.
    `error` is how far it is from its nearest usual items, squared, in units of the median of usual
    ones. `odd` are the parts that cause most of that, the largest share first.
    """

    id: str
    p_value: float
    error: float
    odd: tuple[Odd, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, under stable keys; a part's own fields beside its share."""
        odd = [asdict(one.part) | {"share": round(one.share, 4)} for one in self.odd]
        return {"id": self.id, "p_value": self.p_value, "error": round(self.error, 4), "odd": odd}


@dataclass(frozen=True, slots=True)
class Outliers(Sequence[Outlier]):
    """The outliers that were found, the most unlike first."""

    found: tuple[Outlier, ...]
    n_items: int
    """How many items were asked about and compared."""
    n_usual: int
    """How many usual items they were compared with."""
    n_below: int
    """How many outliers there are, also those beyond the first k."""
    by: By
    """Which errors were compared: distances to neighbours, or what the decoder lacks."""
    n_unseen: int = 0
    """How many stored items nothing is held of that they could be compared by."""
    skipped: tuple[Refusal, ...] = ()
    """The new items that can't be used."""

    @property
    def least_p(self) -> float:
        """The least p-value that an item which is not itself a usual one can have."""
        return 1.0 / (self.n_usual + 1)

    @overload
    def __getitem__(self, index: int) -> Outlier: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Outlier, ...]: ...
    def __getitem__(self, index: int | slice) -> Outlier | tuple[Outlier, ...]:
        return self.found[index]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Outlier]:
        return iter(self.found)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, under stable keys."""
        return {
            "n_items": self.n_items,
            "n_usual": self.n_usual,
            "n_outliers": self.n_below,
            "by": self.by,
            "n_unseen": self.n_unseen,
            "outliers": [one.to_json() for one in self.found],
            "skipped": [one._asdict() for one in self.skipped],
        }


@dataclass(frozen=True, slots=True)
class Limit:
    """Which p-values make an outlier, and how many outliers are told."""

    p: float = 0.01
    """The greatest p-value of an outlier, if `fdr` is None."""
    fdr: float | None = None
    """The share of the outliers that may be expected to be none, by Benjamini and Hochberg."""
    k: int | None = None
    """The most outliers that are told; None: all."""

    def __post_init__(self) -> None:
        for name, value in (("p", self.p), ("fdr", 1.0 if self.fdr is None else self.fdr)):
            require_number(name, value)
            if not 0.0 < value <= 1.0:
                raise ValueError(f"{name}: expected above 0 and at most 1, got {value!r}; as 0.01")
        if self.k is not None and whole("k", self.k) < 1:
            raise ValueError(f"k: expected at least 1, got {self.k}; leave it out for all")

    def admits(self, p_values: np.ndarray) -> np.ndarray:
        """Which of all p-values (n,) are of outliers, (n,) bool."""
        return discoveries(p_values, self.fdr) if self.fdr is not None else p_values <= self.p


OnDone = Callable[[int, int | None], None]


def outliers(
    snapshot: Snapshot,
    items: Iterable[Item] | None,
    limit: Limit,
    *,
    asked: np.ndarray,
    usual: np.ndarray,
    on_done: OnDone = lambda done, total: None,
) -> Outliers:
    """The outliers among new `items`, or, where these are None, at the positions `asked`.

    They are compared with those at the positions `usual` (`judging.Judge.of`). Raises
    CollectionError where too little is held.
    """
    judge = Judge.of(snapshot, usual, is_new=items is not None)
    blocks = judge.stored(asked) if items is None else judge.new(items)
    kept: list[Judged] = []
    p_values: list[np.ndarray] = []
    for block in blocks:
        p_values.append(np.array([one.p_value for one in block]))
        kept += [one for one in block if one.p_value <= (limit.fdr or limit.p)]
        on_done(sum(map(len, p_values)), len(asked) if items is None else None)
    every = np.concatenate([np.empty(0), *p_values])
    below = every[limit.admits(every)].max(initial=0.0)
    chosen = [one for one in kept if one.p_value <= below]
    chosen.sort(key=lambda one: (one.p_value, -one.error))
    found = tuple(_told(judge, one) for one in chosen[: limit.k])
    unseen = len(asked) - len(every) if items is None else 0
    rule = judge.rule
    return Outliers(
        found, len(every), len(rule), len(chosen), rule.name, unseen, tuple(judge.skipped)
    )


def _told(judge: Judge, one: Judged) -> Outlier:
    odd = [Odd(part, share) for part, share in judge.odd_parts(one)[:_SHOWN_PARTS]]
    return Outlier(judge.id_of(one), one.p_value, one.error, tuple(odd))
