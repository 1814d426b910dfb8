"""Judge stored and new items by one of two rules: their nearest usual items, or the decoder.

Neighbours tell more (docs/family.md), so the decoder judges only new items, and only where the
collection keeps nothing that they could be compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np

from hashret._backports import chunks
from hashret.errors import CollectionError
from hashret.features.left_out import Part
from hashret.items import Item
from hashret.outliers.source import Source, nothing_held, source_of
from hashret.outliers.usual import FEWEST, Usual
from hashret.outliers.views import Sight
from hashret.snapshot import Snapshot
from hashret.sparse import Features, known, rows_between

By = Literal["neighbours", "decoder"]

#: Usual items that others are compared with at most, drawn with a fixed seed: no p-value is below
#: 1 in 8,001, and an item is compared in some milliseconds.
MOST_USUAL = 8_000
_BLOCK = 256  # items judged together: their distances to all usual ones take 8 MB
_MOST_PARTS = 100  # parts of an item that are left out, those of the greatest features
_LEAST_SHARE = 0.001  # of the error that an odd part takes with it


class Refusal(NamedTuple):
    """A new item that can't be compared, and why."""

    id: str
    reason: str


class Rule(Protocol):
    """What the error of an item is, and how often a usual one's is as great."""

    name: ClassVar[By]

    def __len__(self) -> int:
        """The number of usual items."""
        ...

    def errors(self, features: Features, own: np.ndarray) -> np.ndarray:
        """The errors of m items with these features, (m,) float64; 1 is the median usual one's.

        `own` (m,) int64 says which of the usual items each is itself, -1 for none.
        """
        ...

    def judged(self, features: Features, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The errors and the p-values, both (m,) float64."""
        ...


class ByNeighbours:
    """How far an item is from the nearest usual ones (`outliers.usual`)."""

    name: ClassVar[By] = "neighbours"

    def __init__(self, sight: Sight, usual: Usual):
        self._sight, self._usual = sight, usual

    def __len__(self) -> int:
        return len(self._usual)

    def errors(self, features: Features, own: np.ndarray) -> np.ndarray:
        """See `Rule`."""
        return self._usual.errors(self._sight.views(features), own)

    def judged(self, features: Features, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Rule`."""
        return self._usual.judged(self._sight.views(features), own)


class ByDecoder:
    """How far an item is from what its code decodes to; usual are those that no decoder learned."""

    name: ClassVar[By] = "decoder"

    def __init__(self, snapshot: Snapshot):
        self._encoder, self._decoder = snapshot.coder.encoder, snapshot.decoder

    def __len__(self) -> int:
        return len(self._decoder.held_errors)

    def errors(self, features: Features, own: np.ndarray) -> np.ndarray:
        """See `Rule`."""
        held = self._decoder.held_errors
        return self._raw(features) / max(float(np.median(held)), 1e-12)

    def judged(self, features: Features, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Rule`."""
        held = self._decoder.held_errors
        n_below = np.searchsorted(held, self._raw(features).astype(held.dtype), "left")
        return self.errors(features, own), (1 + len(held) - n_below) / (len(held) + 1)

    def _raw(self, features: Features) -> np.ndarray:
        found = self._decoder.errors(self._encoder.encode(features), features)
        # of an item in which nothing is known there is nothing to decode
        return np.where(known(features), found, self._decoder.held_errors.max())


@dataclass(frozen=True, slots=True)
class Judged:
    """An item that was judged, and what is needed to tell what is odd in it."""

    p_value: float
    error: float
    features: Features
    own: int
    """Which of the usual items it is; -1 for none."""
    position: int = -1
    id: str = ""
    prepared: Any = None


class Judge:
    """Judges items of a snapshot, or new ones, by a rule."""

    def __init__(self, source: Source, rule: Rule, own: dict[int, int]):
        """`own` says which of the usual items each of some positions is."""
        self.rule = rule
        self.skipped: list[Refusal] = []
        self._source = source
        self._own = own

    @classmethod
    def of(cls, snapshot: Snapshot, usual: np.ndarray, *, is_new: bool) -> Self:
        """The judge by at most `MOST_USUAL` items at the positions `usual`.

        Of new items, where nothing is held, by the decoder. Raises CollectionError where there is
        none either, and where enough is held of fewer than `FEWEST` usual items.
        """
        source = source_of(snapshot)
        if source is None:
            has_decoder = snapshot.require_model().has_decoder
            # of very few items a decoder had none to hold out
            if not (is_new and has_decoder and len(snapshot.decoder.held_errors)):
                raise nothing_held(snapshot)
            return cls(Source(snapshot, None), ByDecoder(snapshot), {})
        if len(usual) > MOST_USUAL:
            drawn = np.random.default_rng(0).choice(len(usual), MOST_USUAL, replace=False)
            usual = usual[np.sort(drawn)]
        positions, features = source.features(usual)
        if len(positions) < FEWEST:
            raise CollectionError(
                f"{snapshot.layout.root}: expected at least {FEWEST} usual items to compare with, "
                f"got {len(positions)}; add more, or choose them by another condition"
            )
        sight = Sight.by(snapshot.coder, features)
        own = {position: i for i, position in enumerate(positions.tolist())}
        return cls(source, ByNeighbours(sight, Usual(sight.views(features))), own)

    def stored(self, positions: np.ndarray) -> Iterator[list[Judged]]:
        """The stored items at these positions, block by block, as far as enough is held."""
        for start in range(0, len(positions), _BLOCK):
            seen, features = self._source.features(positions[start : start + _BLOCK])
            if len(seen):
                own = np.array([self._own.get(one, -1) for one in seen.tolist()], np.int64)
                yield self._judged(features, own, [{"position": one} for one in seen.tolist()])

    def new(self, items: Iterable[Item]) -> Iterator[list[Judged]]:
        """The new items, block by block; those that can't be used are `skipped`."""
        coder = self._source.snapshot.coder
        for block in chunks(items, _BLOCK):
            results = self._source.of([one.payload for one in block])
            usable = []
            for item, prepared in zip(block, results, strict=True):
                if isinstance(prepared, Exception):
                    self.skipped.append(Refusal(item.id, str(prepared)))
                else:
                    usable.append({"id": item.id, "prepared": prepared})
            if usable:
                features, _ = coder.features([one["prepared"] for one in usable])
                yield self._judged(features, np.full(len(usable), -1), usable)

    def _judged(
        self, features: Features, own: np.ndarray, about: Sequence[dict[str, Any]]
    ) -> list[Judged]:
        errors, p_values = self.rule.judged(features, own)
        return [
            Judged(p, error, rows_between(features, i, i + 1), int(own[i]), **about[i])
            for i, (p, error) in enumerate(zip(p_values.tolist(), errors.tolist(), strict=True))
        ]

    def id_of(self, one: Judged) -> str:
        """The id of an item."""
        return one.id if one.position < 0 else self._source.snapshot.ids([one.position])[0]

    def odd_parts(self, one: Judged) -> list[tuple[Part, float]]:
        """The parts of an item without which its error is less, and by what share, largest first.

        As in `insight.explain` each part is left out, and the rest judged again.
        """
        prepared = one.prepared if one.position < 0 else self._source.prepared(one.position)
        left = self._source.snapshot.coder.featurizer.left_out(prepared, one.features, _MOST_PARTS)
        if left is None or not len(left.parts):
            return []
        without = self.rule.errors(left.features, np.full(len(left.parts), one.own))
        shares = np.where(known(left.features), 1.0 - without / one.error, 0.0)
        order = np.argsort(-shares, kind="stable").tolist()
        return [(left.parts[i], float(shares[i])) for i in order if shares[i] >= _LEAST_SHARE]
