"""Encode prepared items in blocks, in this process or in workers, with the same result.

A block is the unit that is sent to a worker. Because every sum is exact (`models.fixed_point`), a
code does not depend on the block, the worker or their number. Blocks are returned in order.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from hashret.coder import Coder
from hashret.codes import Codes
from hashret.errors import HashretError
from hashret.features.base import Featurizer
from hashret.sparse import Features, arrays_of, finite_rows, known, of_arrays, take_rows
from hashret.store.disk.files import FileRecord
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord, read_model
from hashret.workers.pool import AVAILABLE, Limits, Work, Workers, each
from hashret.workers.refusals import Refused

_OVERFLOW = "features: expected finite numbers, got infinity; scale the vectors as the others are"

#: The task of the workers.
ENCODING = "indexer.ingest.encode:encoding"
# The items were decoded before, so no untrusted data is parsed here; only a hang must be ended.
_LIMITS = Limits(memory_bytes=1 << 46, seconds=600.0)


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of a block of prepared items.

    `rows` (m,) int64: the positions of those that have a code, increasing; `codes` and
    `features`, where they were asked for, are theirs, row for row. `refused` says of the positions
    of unusable items why they are. All others are of items without a known feature: sound, but
    without a code.
    """

    rows: np.ndarray
    codes: Codes
    features: Features | None
    refused: dict[int, Refused]

    def unknown(self, n: int) -> list[int]:
        """The positions, of `n` in all, of the items without a known feature."""
        coded = set(self.rows.tolist())
        return [row for row in range(n) if row not in coded and row not in self.refused]


def usable_features(
    featurizer: Featurizer, prepared: Sequence[Any]
) -> tuple[np.ndarray, Features, dict[int, Refused]]:
    """The positions of prepared items that can be encoded, their features, row for row, and the
    items that can't be used, with the reason.

    Those of neither have no known feature. Nothing raises for an item.
    """
    features = featurizer.transform(prepared)
    finite = finite_rows(features)
    sound = known(features) & finite
    refused = {row: Refused("overflow", _OVERFLOW) for row in np.flatnonzero(~finite).tolist()}
    rows = np.flatnonzero(sound)
    return rows, features if sound.all() else take_rows(features, rows), refused


def encode(coder: Coder, prepared: Sequence[Any], with_features: bool = True) -> Encoded:
    """Encode what can be encoded; nothing raises for an item that cannot."""
    rows, features, refused = usable_features(coder.featurizer, prepared)
    codes = coder.encoder.encode(features)
    return Encoded(rows, codes, coder.kept(features) if with_features else None, refused)


def encode_features(
    coder: Coder, blocks: Iterable[Features], with_features: bool
) -> Generator[Encoded]:
    """Each block of features encoded, in order, in this process."""
    for features in blocks:
        rows = np.arange(len(features))
        yield Encoded(rows, coder.encoder.encode(features), features if with_features else None, {})


def encode_all(
    coder: Coder,
    blocks: Iterable[Sequence[Any]],
    layout: Layout,
    model: ModelRecord,
    *,
    with_features: bool,
    workers: int = 1,
) -> Generator[Encoded]:
    """Each block encoded, in order, by `workers` processes that read the model from its files.

    One worker is this process itself, as for a single block or where the system has no workers.
    Otherwise at most two blocks a worker are read ahead. Raises HashretError if a block ends two
    workers, as when the system kills them for their memory.
    """
    stream = iter(blocks)
    begin = list(islice(stream, 2)) if workers > 1 else []
    stream = chain(begin, stream)
    if len(begin) < 2 or not AVAILABLE:
        for block in stream:
            yield encode(coder, block, with_features)
        return
    files = [[file.name, file.size, file.sha256] for file in model.files.values()]
    args = [layout.root.absolute(), model.name, model.n_bits, files, with_features]
    with Workers(ENCODING, args, workers, _LIMITS) as pool:
        # a block without items, where all are known already, is not worth a message
        for results in pool.map([_packed(block)] if len(block) else [] for block in stream):
            result = results[0] if results else _sent(encode(coder, [], with_features))
            if isinstance(result, Refused):
                raise HashretError(
                    f"workers: expected to encode a block of items, got {result.reason}, twice; "
                    "is there memory for so many? use fewer, as --workers 1"
                )
            yield _received(result, coder.n_kept)


def encoding(
    root: Path, name: str, n_bits: int, files: list[list[Any]], with_features: bool
) -> Work:
    """The task of the workers: a block encoded by the model of these files."""
    record = ModelRecord(name, n_bits, {file[0]: FileRecord(*file) for file in files})
    coder = Coder.from_description(*read_model(Layout(root), record))

    def one(block: Sequence[Any]) -> list[Any]:
        return _sent(encode(coder, block, with_features))

    return each(one)


def _packed(block: Sequence[Any]) -> Any:
    """Texts as they are, arrays of one shape as one array: a message has fewer parts then."""
    shapes = {getattr(one, "shape", None) for one in block}
    return np.stack(block) if len(shapes) == 1 and None not in shapes else block


def _sent(encoded: Encoded) -> list[Any]:
    arrays = [] if encoded.features is None else arrays_of(encoded.features)
    refused = [[row, one.error_class, one.reason] for row, one in encoded.refused.items()]
    return [encoded.rows, encoded.codes.packed, refused, *arrays]


def _received(message: list[Any], n_features: int) -> Encoded:
    rows, packed, refused, *arrays = message
    features = of_arrays(arrays, n_features) if arrays else None
    return Encoded(rows, Codes(packed), features, {row: Refused(*why) for row, *why in refused})
