"""Do whole numbers look like bits that were packed, eight in a byte, or like bits that were not?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hashret.items import Payload
from hashret.specs import VectorSpec

_LOOKED_AT = 1000  # vectors, of at least so many numbers together:
_LEAST = 500
#: How far from a half the share of ones may be, in each of a byte's eight bits, and the share of
#: bytes in which two of the bits differ; and the least entropy of a byte, in bits. Packed signs of
#: 20ng-minilm have .07, .01 (.05 in 20 rows) and 7.97, ITQ codes of 64 bits .06, .04 and 7.90. The
#: same floats rounded to eight bits have .08 to .50 of differing bits and an entropy of at most
#: 7.71, grey photographs .14, Fashion-MNIST .28. Numbers spread evenly over all values of a byte
#: can't be told from bits by this.
_ONES, _DIFFERING, _ENTROPY = 0.15, 0.06, 7.8


def packing_warnings(payloads: Sequence[Payload], spec: VectorSpec) -> list[str]:
    """What is doubtful about vectors of whole numbers: packed bits taken as numbers, or not so.

    Judged by the first 1,000.
    """
    rows = [one for one in payloads[:_LOOKED_AT] if isinstance(one, np.ndarray)]
    rows = [one for one in rows if one.dtype.kind in "iu" and one.shape == rows[0].shape]
    values = np.concatenate(rows).ravel() if rows and rows[0].ndim else np.empty(0, np.uint8)
    if values.size < _LEAST:
        return []
    if not spec.packed and _are_packed(values):
        found = (
            f"vectors: {len(rows[0])} whole numbers each that look like packed bits (binary "
            "embeddings), and were taken as numbers; if they are bits, index them with "
            "--packed-bits (in Python, VectorSpec(packed=True))"
        )
        return [found]
    if spec.packed and np.isin(values, (-1, 0, 1)).all():
        found = (
            "vectors: all are 0 and 1 (or -1), so they look like bits that are not packed, and "
            "were taken as bytes of 8 bits; pack them as np.packbits(vectors > 0, axis=1)"
        )
        return [found]
    return []


def _are_packed(values: np.ndarray) -> bool:
    """Whether whole numbers are like bytes of bits that are about even and independent."""
    lowest, highest = int(values.min()), int(values.max())
    if lowest < -128 or highest > (255 if lowest >= 0 else 127):
        return False
    found = (values.astype(np.int64) + (128 if lowest < 0 else 0)).astype(np.uint8)
    counts = np.bincount(found, minlength=256)
    shares = counts[counts > 0] / found.size
    # of few numbers less is seen than there is (Miller, 1955)
    entropy = -float((shares * np.log2(shares)).sum())
    entropy += (len(shares) - 1) / (2 * found.size * np.log(2))
    bits = np.unpackbits(found[:, None], axis=1)
    ones = np.abs(bits.mean(axis=0) - 0.5)
    pairs = combinations(range(8), 2)
    differing = [abs(float((bits[:, i] ^ bits[:, j]).mean()) - 0.5) for i, j in pairs]
    chance = 1.5 / found.size**0.5  # three standard deviations of a share
    are_even = ones.max() <= _ONES + chance and max(differing) <= _DIFFERING + chance
    return bool(are_even and entropy >= _ENTROPY)
