"""Why is this item near to that query? Which bits of their codes agree, and what carries them.

Each part of the query and of the item (a word or token, a place of an image, a number of a vector,
some steps of a series) is left out, all else encoded again, and the code compared with the other
side's. Encoding is exact arithmetic, so for the code the answer is exact, whatever the model.
Sources: Robnik-Šikonja and Kononenko, "Explaining classifications for individual instances", TKDE
2008 (leaving out); Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV
2014, section 4.2 (places).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hashret.codes import Codes, hamming, require_same_bits
from hashret.collection import Collection
from hashret.errors import InputError
from hashret.features.left_out import LeftOut, Part
from hashret.insight.held import Held, held, why_not
from hashret.items import Id, Payload, id_of
from hashret.kinds import kind_of
from hashret.snapshot import Snapshot
from hashret.sparse import Features, known

#: Most parts of one side that are left out, those of the greatest features: a page of text has
#: fewer words, and a book's take a second.
MOST_PARTS = 300
#: Codes that the query's is compared with to say what is usual.
_USUAL_SAMPLE = 10_000


@dataclass(frozen=True, slots=True)
class Effect:
    """A part of one side, and what is lost without it."""

    part: Part
    bits: tuple[int, ...]
    """The bits of this side's code that change, increasing. If the model knows nothing but this
    part, then all: without it there is no code."""
    effect: int
    """How many fewer bits would agree with the other side; negative: how many more."""
    pull: float
    """How much it draws this side to the other's bits, also where none changes: the sum over the
    bits of what the logit loses towards the other's bit, as a share of the sum of all logits'
    sizes. 0.2: a fifth of all certainty; negative: it draws away."""

    def to_json(self) -> dict[str, Any]:
        """The part's own fields, its bits, effect and pull, as JSON."""
        rest = {"bits": list(self.bits), "effect": self.effect, "pull": round(self.pull, 4)}
        return asdict(self.part) | rest


@dataclass(frozen=True, slots=True)
class Side:
    """The query or the item: its code, and its parts, those of the largest effect first."""

    code: str
    """Hexadecimal, byte by byte."""
    parts: tuple[Effect, ...] = ()
    n_parts: int = 0
    """How many parts there are; more than `parts` where only the greatest were left out."""
    note: str = ""
    """Why there are no parts, if there are none."""
    id: str | None = None
    """The id, of a stored item."""

    def to_json(self) -> dict[str, Any]:
        """The side as JSON; `note` only where there are no parts."""
        told: dict[str, Any] = {} if self.id is None else {"id": self.id}
        told |= {"code": self.code, "parts": [one.to_json() for one in self.parts]}
        return told | {"n_parts": self.n_parts} | ({"note": self.note} if self.note else {})


@dataclass(frozen=True, slots=True)
class Explanation:
    """Which bits of a query and an item agree, and which parts of both carry them."""

    agree: tuple[int, ...]
    """The bits that are the same in both codes, increasing."""
    differ: tuple[int, ...]
    """The other bits, increasing."""
    usual: int
    """In how many bits the query agrees with an item of the collection on the average, rounded."""
    query: Side
    item: Side

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return len(self.agree) + len(self.differ)

    @property
    def distance(self) -> int:
        """The Hamming distance of the two codes in bits."""
        return len(self.differ)

    @property
    def parts(self) -> str | None:
        """What the parts are: "words", "places", "numbers" or "steps"; None without any."""
        both = (*self.query.parts, *self.item.parts)
        return f"{type(both[0].part).__name__.lower().rstrip('s')}s" if both else None

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, under stable keys."""
        return {
            "n_bits": self.n_bits,
            "distance": self.distance,
            "usual": self.usual,
            "query": self.query.to_json(),
            "item": self.item.to_json(),
            "parts": self.parts,
            "agree": list(self.agree),
            "differ": list(self.differ),
        }


def explain(
    collection: Collection,
    *,
    item_id: Id,
    payload: Payload | None = None,
    query_id: Id | None = None,
    code: Codes | None = None,
    item_payload: Payload | None = None,
    most: int = MOST_PARTS,
) -> Explanation:
    """Why the stored item `item_id` is as near as it is to the query.

    The query is exactly one of a payload (as for `Collection.query`), the id of a stored item, and
    one code, which has no parts. `item_payload` is what the stored item was made of, where the
    collection does not hold it. Of each side at most `most` parts are left out.

    Raises ValueError unless there is one query, `UnknownItemError`, `InputError` for an item or a
    query without a code and for an `item_payload` that has another code than the item,
    `PayloadError`, and CollectionError without a model.
    """
    if sum(one is not None for one in (payload, query_id, code)) != 1:
        raise ValueError("query: expected one of payload, query_id and code; give exactly one")
    snapshot = collection.standing().snapshot
    asked: _Side
    if payload is not None:
        asked = _of_payload(snapshot, payload)
    elif query_id is not None:
        asked = _of_stored(snapshot, id_of(query_id))
    else:
        asked = _of_code(snapshot, code)
    item = _of_stored(snapshot, id_of(item_id), item_payload)
    differ = asked.code.bits[0] != item.code.bits[0]
    return Explanation(
        tuple(np.flatnonzero(~differ).tolist()),
        tuple(np.flatnonzero(differ).tolist()),
        _usual(snapshot, asked.code),
        asked.told(snapshot, item.code, most),
        replace(item.told(snapshot, asked.code, most), id=id_of(item_id)),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """One side before its parts are left out."""

    code: Codes
    source: Held | None = None
    """What its code can be made of again; None: nothing is held."""
    note: str = ""

    def told(self, snapshot: Snapshot, other: Codes, most: int) -> Side:
        """The side, with the effect that each of its parts has on the distance to the other."""
        code = self.code.hex(0)
        if self.source is None:
            return Side(code, note=self.note)
        (left,) = self.source.left_out(snapshot, most)
        if left is None:
            return Side(code, note=why_not(snapshot))
        return Side(
            code, _effects(snapshot, self.source.features, left, other.bits[0]), left.n_parts
        )


def _effects(
    snapshot: Snapshot, features: Features, left: LeftOut, other: np.ndarray
) -> tuple[Effect, ...]:
    """The effects of the parts, the largest first; where these are equal, by pull.

    `other` (n_bits,) bool are the bits of the other side.
    """
    encoder = snapshot.coder.encoder
    logits = encoder.logits(features)  # (1, n_bits)
    has_code = known(left.features)[:, None]
    without = np.where(has_code, encoder.logits(left.features), 0.0)
    agrees = (logits[0] > 0) == other
    changed = ((without > 0) != (logits > 0)) | ~has_code
    # a bit that changes agrees if it differed before; without a code none does
    effects = (changed & agrees).sum(1) - (changed & ~agrees & has_code).sum(1)
    pulls = (logits - without) @ np.where(other, 1.0, -1.0) / max(np.abs(logits).sum(), 1e-9)
    order = np.lexsort((-pulls, -effects)).tolist()
    return tuple(
        Effect(left.parts[i], tuple(np.flatnonzero(changed[i]).tolist()), int(effects[i]), pull)
        for i, pull in zip(order, pulls[order].tolist(), strict=True)
    )


def _of_payload(snapshot: Snapshot, payload: Payload) -> _Side:
    snapshot.require_model()
    coder = snapshot.coder
    prepared = coder.prepare(payload)
    features, are_known = coder.features([prepared])
    if not are_known[0]:
        raise InputError(f"query: {kind_of(snapshot.kind).unknown}; ask in other words")
    return _Side(coder.encoder.encode(features), Held(np.zeros(1, np.int64), features, [prepared]))


def _of_code(snapshot: Snapshot, code: Codes | None) -> _Side:
    assert code is not None  # noqa: S101
    require_same_bits(snapshot.codes, code)
    return _Side(code, note="a code alone has no parts")


def _of_stored(snapshot: Snapshot, item_id: str, payload: Payload | None = None) -> _Side:
    code = snapshot.code_of(item_id)
    position = snapshot.find([item_id])
    if payload is None:
        source = held(snapshot, position)
        return _Side(code, source, "" if source else why_not(snapshot))
    given = _of_payload(snapshot, payload)
    n_other = int(hamming(code, given.code)[0, 0])
    if n_other:
        raise InputError(
            f"item: expected what {item_id!r} was made of, got another payload: {n_other} bits of "
            "its code are others; give the one that was indexed, or index it again"
        )
    return given


def _usual(snapshot: Snapshot, code: Codes) -> int:
    """In how many bits a code agrees with those of the collection on the average, rounded."""
    codes = snapshot.codes
    sample = np.linspace(0, len(codes) - 1, min(len(codes), _USUAL_SAMPLE)).astype(np.int64)
    return round(codes.n_bits - float(hamming(code, codes[sample]).mean()))
