"""Items to codes in batches, through hashret's own rooms, bad ones set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hashret.coder import Coder
from hashret.codes import Codes
from hashret.errors import PayloadError
from hashret.items import Item
from indexer.corpus import Skipped

_NO_FEATURE = "no known feature: expected at least one word of the collection's vocabulary"


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Items with their codes, row for row, and those that could not be encoded."""

    items: list[Item]
    codes: Codes
    skipped: list[Skipped]


def encode_items(coder: Coder, items: Sequence[Item]) -> EncodedBatch:
    """Encode what can be encoded; the rest comes back with its reason, nothing raises for it."""
    usable, prepared, skipped = [], [], []
    for item in items:
        try:
            prepared.append(coder.prepare(item.payload))
            usable.append(item)
        except PayloadError as error:
            skipped.append(Skipped(item.id, str(error), "bad-payload"))
    if not usable:
        return EncodedBatch([], Codes.empty(coder.n_bits), skipped)
    features, known = coder.features(prepared)
    codes = coder.encoder.encode(features)
    if not known.all():
        skipped += [
            Skipped(item.id, _NO_FEATURE, "no-known-feature")
            for item, ok in zip(usable, known, strict=True)
            if not ok
        ]
        usable = [item for item, ok in zip(usable, known, strict=True) if ok]
        codes = codes[known.nonzero()[0]]
    return EncodedBatch(usable, codes, skipped)
