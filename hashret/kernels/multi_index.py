"""Search by multi-index hashing, compiled: one query after the other, its probes in groups.

The algorithm is that of `hashret.indexes.multi_index.index`. Memory is prefetched for a group of
probes at a time, for the reason given in `hashret.kernels.table`.

A step is a number of flipped bits and a table: step s probes table s % m with s // m flips. A
reference stands for all rows that have one code (`hashret.indexes.distinct`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.kernels.intrinsics import (
    BOOL,
    FLOAT,
    INT,
    INTS,
    INTS_2D,
    ROWS,
    ROWS_2D,
    WORDS,
    WORDS_2D,
    mix,
    popcount,
    prefetch,
)
from hashret.kernels.runs import copy_rows, length_of
from hashret.kernels.selecting import grown, kth_distance, sort_rows

_TABLES = (WORDS_2D, INTS_2D, WORDS_2D, ROWS, INTS, ROWS_2D, WORDS_2D, WORDS, WORDS, INTS_2D)
_RUNS = (ROWS, ROWS, ROWS)
_NO_LIMIT = np.int64(1 << 62)  # more rows than any index has
_GROUP = 64  # probes whose memory is prefetched together
_AHEAD = 8  # candidates of one slot whose codes are prefetched


@njit(cache=True, nogil=True)
def _ones(length: int) -> np.uint64:
    """A word whose lowest `length` bits are set."""
    return (np.uint64(1) << np.uint64(length)) - np.uint64(1)


@njit(cache=True, nogil=True)
def _part(words: np.ndarray, first: int, start: int, length: int) -> int:
    """The `length` bits from bit `start` on, of the code whose words begin at words[first].

    The same as `Substring.of`.
    """
    word, shift = first + (start >> 6), start & 63
    value = words[word] >> np.uint64(shift)
    if shift + length > 64:
        value |= words[word + 1] << np.uint64(64 - shift)
    return value & _ones(length)


@njit(cache=True, nogil=True)
def _distance(words: np.ndarray, first: int, code: np.ndarray) -> np.int64:
    """The distance in bits of `code` from the code whose words begin at words[first]."""
    # positions instead of slices: for each slice Numba would count references
    ones = np.uint64(0)
    for word in range(len(code)):
        ones += popcount(words[first + word] ^ code[word])
    return np.int64(ones)


@njit(cache=True, nogil=True)
def _is_first(xor: int, mask: int, table: int, step: int, parts: np.ndarray) -> bool:
    """Whether a code is found by this probe, and by none of an earlier step.

    `xor` has the bits in which the code differs from the query, and `mask` those that the probe
    flips. So each code is a hit once.
    """
    # a slot can hold several values: only the probe of the code's own value counts
    if (xor >> np.uint64(parts[table, 0])) & _ones(parts[table, 1]) != mask:
        return False
    for other in range(len(parts)):
        part = (xor >> np.uint64(parts[other, 0])) & _ones(parts[other, 1])
        if np.int64(popcount(part)) * len(parts) + other < step:
            return False
    return True


@njit(cache=True, nogil=True)
def _is_first_of(
    words: np.ndarray,  # (n * n_words,) uint64
    first: int,
    code: np.ndarray,  # (n_words,) uint64
    mask: int,
    table: int,
    step: int,
    parts: np.ndarray,  # (m, 3) int64: start, length, shift
) -> bool:
    """The result of `_is_first`, for codes of more than one word."""
    start, length = parts[table, 0], parts[table, 1]
    if _part(words, first, start, length) ^ _part(code, 0, start, length) != mask:
        return False
    for other in range(len(parts)):
        start, length = parts[other, 0], parts[other, 1]
        part = _part(words, first, start, length) ^ _part(code, 0, start, length)
        if np.int64(popcount(part)) * len(parts) + other < step:
            return False
    return True


@njit(cache=True, nogil=True)
def _probe(
    key: int,
    flip_keys: np.ndarray,  # (n_flips,) uint64
    flip_masks: np.ndarray,  # (n_flips,) uint64
    offsets: np.ndarray,  # (n_slots + 1 or more,) uint32
    shift: int,
    stored: np.ndarray,  # (n,) uint32
    inlined: np.ndarray,  # (n,) uint64, or (0,)
    flat: np.ndarray,  # (n * n_words,) uint64
    code: np.ndarray,  # (n_words,) uint64
    parts: np.ndarray,  # (m, 3) int64: start, length, shift
    table: int,
    step: int,
    cap: int,  # bits, inclusive
    enough: int,
    budget: float,  # of work, as `search` counts it
    candidate_cost: float,
    spent: float,
    n_found: int,
    found_references: np.ndarray,  # (room,) uint32, written from n_found on
    found: np.ndarray,  # (room,) uint16, their distances, written from n_found on
    seen: np.ndarray,  # (n_bits + 2,) int64: rows found at each distance; added to
    work: np.ndarray,  # (3,) int64: probes, comparisons, effort; added to
    references: np.ndarray,  # (n,) uint32, or (0,)
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
) -> tuple[int, np.ndarray, np.ndarray, float]:
    """Do one step, which is all probes of one table with one number of flipped bits.

    It ends early if the budget is spent, or if `enough` rows at distance 0 are found. Returns the
    new n_found, found_references and found, which may have grown, and the work spent.
    """
    n_words = len(code)
    lows = np.empty(_GROUP, np.int64)
    highs = np.empty(_GROUP, np.int64)
    for start in range(0, len(flip_keys), _GROUP):
        size = min(_GROUP, len(flip_keys) - start)
        for i in range(size):
            lows[i] = np.int64((key ^ flip_keys[start + i]) >> shift)
            prefetch(offsets, lows[i])
        candidates, filled = 0, 0
        for i in range(size):
            highs[i] = offsets[lows[i] + 1]
            lows[i] = offsets[lows[i]]
            candidates += highs[i] - lows[i]
            filled += highs[i] > lows[i]
            if n_words == 1:
                prefetch(inlined, lows[i])
            prefetch(stored, lows[i])
        work[0] += size
        spent += size + filled + candidate_cost * (candidates - filled)
        if spent > budget:
            break
        if n_words > 1:
            for i in range(size):
                for place in range(lows[i], min(highs[i], lows[i] + _AHEAD)):
                    prefetch(flat, np.int64(stored[place]) * n_words)
        if n_found + candidates > len(found):
            found_references = grown(found_references, n_found + candidates)
            found = grown(found, n_found + candidates)
        for i in range(size):
            mask = flip_masks[start + i]
            work[1] += highs[i] - lows[i]
            for place in range(lows[i], highs[i]):
                if n_words == 1:
                    xor = inlined[place] ^ code[0]
                    distance = np.int64(popcount(xor))
                    if distance > cap or not _is_first(xor, mask, table, step, parts):
                        continue
                else:
                    if place + _AHEAD < highs[i]:
                        prefetch(flat, np.int64(stored[place + _AHEAD]) * n_words)
                    at = np.int64(stored[place]) * n_words
                    distance = _distance(flat, at, code)
                    if distance > cap or not _is_first_of(flat, at, code, mask, table, step, parts):
                        continue
                reference = stored[place]
                if n_words > 1:
                    reference = references[reference]
                found_references[n_found] = reference
                found[n_found] = distance
                seen[distance] += min(length_of(reference, run_limits), enough)
                n_found += 1
                if seen[0] >= enough:
                    return n_found, found_references, found, spent
    return n_found, found_references, found, spent


@njit(cache=True, nogil=True)
def _write_rows(
    found_references: np.ndarray,  # (n_found,) uint32
    found: np.ndarray,  # (n_found or more,) uint16, their distances
    seen: np.ndarray,  # (n_bits + 2,) int64: rows found at each distance; overwritten
    cap: int,  # bits, inclusive
    enough: int,  # rows of one code that are written at most, as `seen` counts them
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
    rows: np.ndarray,  # (room,) int64, written
    distances: np.ndarray,  # (room,) int32, written
) -> int:
    """Write the rows found within `cap`, by distance and row; returns how many."""
    total = 0
    for distance in range(cap + 1):
        total, seen[distance] = total + seen[distance], total
    for i in range(len(found_references)):
        near = np.int64(found[i])
        if near <= cap:
            place = seen[near]
            seen[near] = copy_rows(found_references[i], enough, run_limits, members, rows, place)
    begin = 0
    for distance in range(cap + 1):
        sort_rows(rows, begin, seen[distance])
        distances[begin : seen[distance]] = distance
        begin = seen[distance]
    return total


@njit((WORDS_2D, INTS, INT, BOOL, FLOAT, FLOAT, INT, *_TABLES, *_RUNS), cache=True, nogil=True)
def search(
    queries: np.ndarray,  # (n_queries, n_words) uint64
    caps: np.ndarray,  # (n_queries,) int64: the radius of each query in bits, inclusive
    k: int,  # 0: all rows within the radius
    ties: bool,  # whether rows that tie with the k-th are hits too
    budget: float,  # of work, for each query
    candidate_cost: float,
    n_bits: int,
    words: np.ndarray,  # (n, n_words) uint64
    parts: np.ndarray,  # (m, 3) int64: start and length of a substring, shift from key to slot
    shifts: np.ndarray,  # (m, 7) uint64, of each substring's `LinearHash`
    offsets: np.ndarray,  # (all slots + m,) uint32: where slots begin in `stored`
    bases: np.ndarray,  # (m + 1,) int64: where each table begins in `offsets`
    stored: np.ndarray,  # (m, n) uint32, slot by slot
    inlined: np.ndarray,  # (m, n) uint64, or (m, 0) for codes of several words
    flip_keys: np.ndarray,  # (n_flips,) uint64
    flip_masks: np.ndarray,  # (n_flips,) uint64
    edges: np.ndarray,  # (m, most flips + 2) int64
    references: np.ndarray,  # (n,) uint32, or (0,) for codes of one word
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All rows within the radius of each query, or if k > 0 the k nearest of them.

    For codes of one word, `stored` has the references of the codes in each slot, and `inlined` the
    codes. For longer codes, `stored` has their places in `words` and `references`. The flips of f
    bits of table j are flip_keys[edges[j, f] : edges[j, f + 1]], and `flip_masks` likewise.

    Work is counted in units of a probe: 1 for a probe, 1 for the first candidate in a slot, and
    `candidate_cost` for each further one. Returns the number of rows of each query, -1 if its
    budget was spent; all rows; their distances in bits; and the sums of the probes, the
    comparisons and the work.
    """
    n_queries, n_tables = len(queries), len(parts)
    lengths = np.full(n_queries, -1, np.int64)
    rows = np.empty(max(64, n_queries * max(k, 2)), np.int64)
    distances = np.empty(len(rows), np.int32)
    count = 0
    work = np.zeros(3, np.int64)
    keys = np.empty(n_tables, np.uint64)
    found_references = np.empty(1024, np.uint32)
    found = np.empty(1024, np.uint16)
    seen = np.zeros(n_bits + 2, np.int64)
    flat = words.reshape(-1)
    enough = k if k > 0 and not ties else _NO_LIMIT  # a search ends with so many rows at distance 0
    for query in range(n_queries):
        code = queries[query]
        for table in range(n_tables):
            value = _part(code, 0, parts[table, 0], parts[table, 1])
            keys[table] = mix(value, shifts[table], _ones(parts[table, 1]))
        seen[:] = 0
        n_found, cap, spent, step = 0, caps[query], 0.0, 0
        while step <= cap and seen[0] < enough:
            flips, table = step // n_tables, step % n_tables
            if flips <= parts[table, 1]:
                if flips > edges.shape[1] - 2:
                    break
                begin, end = edges[table, flips], edges[table, flips + 1]
                if spent + end - begin > budget:
                    break
                n_found, found_references, found, spent = _probe(
                    keys[table],
                    flip_keys[begin:end],
                    flip_masks[begin:end],
                    offsets[bases[table] :],
                    np.uint64(parts[table, 2]),
                    stored[table],
                    inlined[table],
                    flat,
                    code,
                    parts,
                    table,
                    step,
                    cap,
                    enough,
                    budget,
                    candidate_cost,
                    spent,
                    n_found,
                    found_references,
                    found,
                    seen,
                    work,
                    references,
                    run_limits,
                )
                if spent > budget:
                    break
            if k > 0:
                cap = kth_distance(seen, k, cap)
            step += 1
        work[2] += np.int64(min(spent, budget))
        if step > cap or seen[0] >= enough:
            last = 0 if seen[0] >= enough else cap
            rows = grown(rows, count + seen[: last + 1].sum())
            distances = grown(distances, len(rows))
            length = _write_rows(
                found_references[:n_found],
                found,
                seen,
                last,
                enough,
                run_limits,
                members,
                rows[count:],
                distances[count:],
            )
            lengths[query] = min(length, k) if k > 0 and not ties else length
            count += lengths[query]
    return lengths, rows[:count], distances[:count], work
