"""Are the codes of a collection in order? A sentence on each thing that is not."""

from __future__ import annotations

import numpy as np

from hashret.codes import Codes
from hashret.measures import bit_balance, bit_correlation, bucket_sizes

#: A bit is dead if it is 1, or 0, for less than this share of the items.
DEAD = 0.01
#: Two bits say the same if their correlation is beyond this.
_ALIKE = 0.95
#: Largest share of the items that one code may have.
ONE_CODE = 0.5
#: Least share of different codes, of the items or of all codes there are.
DISTINCT = 0.05


def complaints(codes: Codes) -> list[str]:
    """What is wrong with the codes of a collection, a sentence each; none if they look healthy."""
    n = len(codes)
    if n < 2:
        return [f"There are too few items with a code to judge: {n}."]
    found = []
    shares = bit_balance(codes)
    n_dead = int(((shares < DEAD) | (shares > 1.0 - DEAD)).sum())
    if n_dead:
        found.append(
            f"{n_dead} of {codes.n_bits} bits are the same for nearly all items: they tell nothing."
        )
    pairs = np.abs(bit_correlation(codes)[np.triu_indices(codes.n_bits, 1)])
    n_alike = int((pairs > _ALIKE).sum())
    if n_alike:
        found.append(f"{n_alike} pairs of bits say nearly the same.")
    sizes = bucket_sizes(codes)
    if sizes[0] > ONE_CODE * n:
        found.append(f"{sizes[0]:,} of {n:,} items have one and the same code.")
    possible = min(float(n), 2.0**codes.n_bits)
    if len(sizes) < DISTINCT * possible:
        found.append(f"There are only {len(sizes):,} different codes for {n:,} items.")
    return found
