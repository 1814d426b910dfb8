"""Which stored or new items are outliers, how sure is that, and what in them is odd?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, overload

import numpy as np

from hashret._backports import chunks
from hashret.arguments import whole
from hashret.errors import CollectionError
from hashret.features.left_out import Part
from hashret.items import Item
from hashret.outliers.source import Source, source_of
from hashret.outliers.usual import FEWEST, Usual, discoveries
from hashret.outliers.views import Sight
from hashret.snapshot import Snapshot
from hashret.sparse import Features, known, rows_between

#: Usual items that others are compared with at most, drawn with a fixed seed: no p-value is below
#: 1 in 4,001, and an item is compared in some milliseconds.
MOST_USUAL = 4_000
_BLOCK = 256  # items judged together: their distances to all usual ones take 4 MB
_MOST_PARTS = 100  # parts of an item that are left out, those of the greatest features
_SHOWN_PARTS = 5  # odd parts of an item that are told
_LEAST_SHARE = 0.001  # of the error that an odd part takes with it


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


class Refusal(NamedTuple):
    """A new item that can't be compared, and why."""

    id: str
    reason: str


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
        for name, value in (("p", self.p), ("fdr", self.fdr)):
            if value is not None and not 0.0 < value <= 1.0:
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

    They are compared with at most `MOST_USUAL` of those at the positions `usual`. Raises
    CollectionError where of fewer than `FEWEST` of these enough is held.
    """
    source = source_of(snapshot)
    judge = _Judge(source, usual)
    blocks = judge.stored(asked) if items is None else judge.new(items)
    kept: list[_Judged] = []
    p_values: list[np.ndarray] = []
    for block in blocks:
        p_values.append(np.array([one.p_value for one in block]))
        kept += [one for one in block if one.p_value <= (limit.fdr or limit.p)]
        on_done(sum(map(len, p_values)), len(asked) if items is None else None)
    every = np.concatenate([np.empty(0), *p_values])
    below = every[limit.admits(every)].max(initial=0.0)
    chosen = [one for one in kept if one.p_value <= below]
    chosen.sort(key=lambda one: (one.p_value, -one.error))
    found = tuple(judge.told(one) for one in chosen[: limit.k])
    unseen = len(asked) - len(every) if items is None else 0
    return Outliers(found, len(every), len(judge), len(chosen), unseen, tuple(judge.skipped))


@dataclass(frozen=True, slots=True)
class _Judged:
    """An item that was compared, before it is told what is odd in it."""

    p_value: float
    error: float
    features: Features
    own: int
    """Which of the usual items it is; -1 for none."""
    position: int = -1
    id: str = ""
    prepared: Any = None


class _Judge:
    """Compares items with the usual ones."""

    def __init__(self, source: Source, usual: np.ndarray):
        if len(usual) > MOST_USUAL:
            drawn = np.random.default_rng(0).choice(len(usual), MOST_USUAL, replace=False)
            usual = usual[np.sort(drawn)]
        positions, features = source.features(usual)
        if len(positions) < FEWEST:
            raise CollectionError(
                f"{source.snapshot.layout.root}: expected at least {FEWEST} items to compare with, "
                f"got {len(positions)}; add more, or choose them by another condition"
            )
        self._source = source
        self._sight = Sight(source.snapshot.coder, features)
        self._usual = Usual(self._sight.views(features))
        self._own = {position: i for i, position in enumerate(positions.tolist())}
        self.skipped: list[Refusal] = []

    def __len__(self) -> int:
        return len(self._usual)

    def stored(self, positions: np.ndarray) -> Iterator[list[_Judged]]:
        """The stored items at these positions, block by block, as far as enough is held."""
        for start in range(0, len(positions), _BLOCK):
            seen, features = self._source.features(positions[start : start + _BLOCK])
            if len(seen):
                own = np.array([self._own.get(one, -1) for one in seen.tolist()], np.int64)
                at = [{"position": one} for one in seen.tolist()]
                yield self._judged(features, own, at)

    def new(self, items: Iterable[Item]) -> Iterator[list[_Judged]]:
        """The new items, block by block; those that can't be used are `skipped`."""
        coder = self._source.snapshot.coder
        for block in chunks(items, _BLOCK):
            results = self._source.of([one.payload for one in block])
            pairs = []
            for item, prepared in zip(block, results, strict=True):
                if isinstance(prepared, Exception):
                    self.skipped.append(Refusal(item.id, str(prepared)))
                else:
                    pairs.append({"id": item.id, "prepared": prepared})
            if pairs:
                features, _ = coder.features([one["prepared"] for one in pairs])
                yield self._judged(features, np.full(len(pairs), -1), pairs)

    def _judged(
        self, features: Features, own: np.ndarray, about: Sequence[dict[str, Any]]
    ) -> list[_Judged]:
        errors, p_values = self._usual.judged(self._sight.views(features), own)
        return [
            _Judged(p, error, rows_between(features, i, i + 1), int(own[i]), **about[i])
            for i, (p, error) in enumerate(zip(p_values.tolist(), errors.tolist(), strict=True))
        ]

    def told(self, one: _Judged) -> Outlier:
        """The outlier, with what is odd in it."""
        snapshot, prepared = self._source.snapshot, one.prepared
        item_id = one.id
        if one.position >= 0:
            (item_id,) = snapshot.ids([one.position])
            prepared = self._source.prepared(one.position)
        left = snapshot.coder.featurizer.left_out(prepared, one.features, _MOST_PARTS)
        odd = []
        if left is not None and len(left.parts):
            own = np.full(len(left.parts), one.own)
            without = self._usual.errors(self._sight.views(left.features), own)
            without = np.where(known(left.features), without, np.inf)  # nothing else is known
            shares = 1.0 - without / one.error
            for i in np.argsort(-shares, kind="stable")[:_SHOWN_PARTS].tolist():
                if shares[i] >= _LEAST_SHARE:
                    odd.append(Odd(left.parts[i], float(shares[i])))
        return Outlier(item_id, one.p_value, one.error, tuple(odd))
