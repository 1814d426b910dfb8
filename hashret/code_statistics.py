"""What codes alone tell: how evenly bits and buckets are used, how binary the units are.

NumPy only and no input or output. A collapsed code shows here before any query is asked: few
distinct codes, full buckets, dead bits, bits that repeat one another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashret.codes import Codes

_TILE_ROWS = 1 << 16  # codes unpacked at a time; below 2**24, so that float32 counts are exact


def bit_balance(codes: Codes) -> np.ndarray:
    """The share of ones of each bit, (n_bits,) float64: 0.5 is balanced, 0 or 1 a dead bit."""
    ones = np.zeros(codes.n_bits, np.int64)
    for start in range(0, len(codes), _TILE_ROWS):
        ones += codes[start : start + _TILE_ROWS].bits.sum(axis=0)
    return ones / max(1, len(codes))


def bit_correlation(codes: Codes) -> np.ndarray:
    """Pearson's correlation of every pair of bits, (n_bits, n_bits) float64, 1 on the diagonal.

    A dead bit has correlation 0 with every other one: `bit_balance` is what shows it.
    """
    both = np.zeros((codes.n_bits, codes.n_bits))
    for start in range(0, len(codes), _TILE_ROWS):
        bits = codes[start : start + _TILE_ROWS].bits.astype(np.float32)
        both += bits.T @ bits
    share = np.diag(both) / max(1, len(codes))
    covariance = both / max(1, len(codes)) - np.outer(share, share)
    deviation = np.sqrt(share * (1 - share))
    scale = np.outer(deviation, deviation)
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    np.fill_diagonal(correlation, 1.0)
    return np.clip(correlation, -1.0, 1.0)


def bucket_sizes(codes: Codes) -> np.ndarray:
    """How many items share each distinct code, largest first, (n_distinct,) int64."""
    if not len(codes):
        return np.empty(0, np.int64)
    return np.sort(np.unique(codes.packed, axis=0, return_counts=True)[1])[::-1]


@dataclass(frozen=True, slots=True)
class CodeStatistics:
    """What a set of codes looks like: how evenly the bits and the buckets are used."""

    n_items: int
    n_distinct: int
    largest_bucket: int
    """Items in the fullest bucket."""
    balance_min: float
    balance_mean: float
    balance_max: float
    """Share of ones over the bits: the emptiest, the mean and the fullest bit."""
    correlation_mean: float
    correlation_max: float
    """Absolute correlation over the pairs of different bits."""


def code_statistics(codes: Codes) -> CodeStatistics:
    """Summarise `codes` (at least one)."""
    if not len(codes):
        raise ValueError("codes: expected at least one, got none; encode something first")
    sizes = bucket_sizes(codes)
    balance = bit_balance(codes)
    pairs = np.abs(bit_correlation(codes)[np.triu_indices(codes.n_bits, 1)])
    return CodeStatistics(
        n_items=len(codes),
        n_distinct=len(sizes),
        largest_bucket=int(sizes[0]),
        balance_min=float(balance.min()),
        balance_mean=float(balance.mean()),
        balance_max=float(balance.max()),
        correlation_mean=float(pairs.mean()),
        correlation_max=float(pairs.max()),
    )
