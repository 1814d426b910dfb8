"""Multi-index hashing, compiled: one query after the other, its probes in groups.

The algorithm is that of `hashret.indexes.multi_index.index`; why memory is asked for before it is
needed is said in `hashret.indexes.kernels.table`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.indexes.kernels.intrinsics import (
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
from hashret.indexes.kernels.runs import copy_rows, length_of
from hashret.indexes.kernels.selecting import grown, kth_distance, sort_rows

_TABLES = (WORDS_2D, INTS_2D, WORDS_2D, ROWS, INTS, ROWS_2D, WORDS_2D, WORDS, WORDS, INTS_2D)
_RUNS = (ROWS, ROWS, ROWS)
_ALL = np.int64(1 << 62)  # more rows than there are
_GROUP = 64  # probes that advance together
_AHEAD = 8  # candidates of one slot whose codes are asked for


@njit(cache=True, nogil=True)
def _ones(length: int) -> np.uint64:
    return (np.uint64(1) << np.uint64(length)) - np.uint64(1)


@njit(cache=True, nogil=True)
def _part(words: np.ndarray, first: int, start: int, length: int) -> int:
    """The `length` bits from bit `start` on of the code at words[first:], as `Substring.of`."""
    word, shift = first + (start >> 6), start & 63
    value = words[word] >> np.uint64(shift)
    if shift + length > 64:
        value |= words[word + 1] << np.uint64(64 - shift)
    return value & _ones(length)


@njit(cache=True, nogil=True)
def _distance(words: np.ndarray, first: int, code: np.ndarray) -> np.int64:
    # positions in place of slices, which count references
    ones = np.uint64(0)
    for word in range(len(code)):
        ones += popcount(words[first + word] ^ code[word])
    return np.int64(ones)


@njit(cache=True, nogil=True)
def _is_first(xor: int, mask: int, turn: int, step: int, parts: np.ndarray) -> bool:
    """Whether no step before this one finds a code that differs by `xor`, nor another probe."""
    # a slot mixes values: only the probe of the code's own value counts
    if (xor >> np.uint64(parts[turn, 0])) & _ones(parts[turn, 1]) != mask:
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
    turn: int,
    step: int,
    parts: np.ndarray,  # (m, 3) int64: start, length, shift
) -> bool:
    """`_is_first` for codes of more than one word."""
    start, length = parts[turn, 0], parts[turn, 1]
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
    turn: int,
    step: int,
    cap: int,
    enough: int,
    budget: float,
    candidate_cost: float,
    spent: float,
    n_found: int,
    found_rows: np.ndarray,  # (room,) uint32: references
    found: np.ndarray,  # (room,) uint16: distances
    seen: np.ndarray,  # (n_bits + 2,) int64
    work: np.ndarray,  # (3,) int64, added to
    references: np.ndarray,  # (n,) uint32, or (0,)
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
) -> tuple[int, np.ndarray, np.ndarray, float]:
    """One step: all probes of one table at so many flips; what was found, and spent, by then."""
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
            found_rows = grown(found_rows, n_found + candidates)
            found = grown(found, n_found + candidates)
        for i in range(size):
            mask = flip_masks[start + i]
            work[1] += highs[i] - lows[i]
            for place in range(lows[i], highs[i]):
                if n_words == 1:
                    xor = inlined[place] ^ code[0]
                    distance = np.int64(popcount(xor))
                    if distance > cap or not _is_first(xor, mask, turn, step, parts):
                        continue
                else:
                    if place + _AHEAD < highs[i]:
                        prefetch(flat, np.int64(stored[place + _AHEAD]) * n_words)
                    at = np.int64(stored[place]) * n_words
                    distance = _distance(flat, at, code)
                    if distance > cap or not _is_first_of(flat, at, code, mask, turn, step, parts):
                        continue
                held = stored[place]
                if n_words > 1:
                    held = references[held]
                found_rows[n_found] = held
                found[n_found] = distance
                seen[distance] += min(length_of(held, run_limits), enough)
                n_found += 1
                if seen[0] >= enough:
                    return n_found, found_rows, found, spent
    return n_found, found_rows, found, spent


@njit(cache=True, nogil=True)
def _put(
    found_rows: np.ndarray,  # (room,) uint32: references
    found: np.ndarray,  # (room,) uint16: distances
    seen: np.ndarray,  # (n_bits + 2,) int64
    cap: int,
    enough: int,
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
    rows: np.ndarray,  # (room,) int64, written
    distances: np.ndarray,  # (room,) int32, written
) -> int:
    """Write the rows found up to `cap`, by distance and row; how many. Uses up `seen`.

    Of one code no more than `enough`, which `seen` counts too.
    """
    total = 0
    for distance in range(cap + 1):
        total, seen[distance] = total + seen[distance], total
    for i in range(len(found_rows)):
        away = np.int64(found[i])
        if away <= cap:
            seen[away] = copy_rows(found_rows[i], enough, run_limits, members, rows, seen[away])
    begin = 0
    for distance in range(cap + 1):
        sort_rows(rows, begin, seen[distance])
        distances[begin : seen[distance]] = distance
        begin = seen[distance]
    return total


@njit((WORDS_2D, INTS, INT, BOOL, FLOAT, FLOAT, INT, *_TABLES, *_RUNS), cache=True, nogil=True)
def search(
    queries: np.ndarray,  # (n_queries, n_words) uint64
    caps: np.ndarray,  # (n_queries,) int64, bits; the answer's radii
    k: int,
    ties: bool,
    budget: float,
    candidate_cost: float,
    n_bits: int,
    words: np.ndarray,  # (n, n_words) uint64
    parts: np.ndarray,  # (m, 3) int64: start, length, shift
    shifts: np.ndarray,  # (m, 7) uint64
    offsets: np.ndarray,  # (all slots + m,) uint32
    bases: np.ndarray,  # (m + 1,) int64
    stored: np.ndarray,  # (m, n) uint32
    inlined: np.ndarray,  # (m, n) uint64, or (m, 0)
    flip_keys: np.ndarray,  # (n_flips,) uint64
    flip_masks: np.ndarray,  # (n_flips,) uint64
    edges: np.ndarray,  # (m, most flips + 2) int64
    references: np.ndarray,  # (n,) uint32, or (0,)
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All rows within `caps` (n_queries,) of each query, or only the k nearest if k > 0.

    Of m tables: `parts` (m, 3) where a substring starts, its length, and the shift that makes a
    key an address; `shifts` (m, 7) of its hash; its `offsets` begin at `bases` (m,); `stored`
    (m, n) distinct codes slot by slot: of codes of one word their `references`, with the codes
    themselves in `inlined` (m, n), else their places in `words` and `references`. The flips of f
    bits of table j are `flip_keys` and `flip_masks` [edges[j, f] : edges[j, f + 1]].

    Work is counted as a probe, the first candidate in a slot, or `candidate_cost` for a further
    one. Returns how many rows each query has, -1 if its work passed `budget`; rows; distances; and
    the probes, the comparisons and the work done.
    """
    n_queries, n_tables = len(queries), len(parts)
    lengths = np.full(n_queries, -1, np.int64)
    rows = np.empty(max(64, n_queries * max(k, 2)), np.int64)
    distances = np.empty(len(rows), np.int32)
    count = 0
    work = np.zeros(3, np.int64)
    keys = np.empty(n_tables, np.uint64)
    found_rows = np.empty(1024, np.uint32)
    found = np.empty(1024, np.uint16)
    seen = np.zeros(n_bits + 2, np.int64)
    flat = words.reshape(-1)
    enough = k if k > 0 and not ties else _ALL  # so many of distance 0 end a search
    for query in range(n_queries):
        code = queries[query]
        for turn in range(n_tables):
            value = _part(code, 0, parts[turn, 0], parts[turn, 1])
            keys[turn] = mix(value, shifts[turn], _ones(parts[turn, 1]))
        seen[:] = 0
        n_found, cap, spent, step = 0, caps[query], 0.0, 0
        while step <= cap and seen[0] < enough:
            flips, turn = step // n_tables, step % n_tables
            if flips <= parts[turn, 1]:
                if flips > edges.shape[1] - 2:
                    break
                begin, end = edges[turn, flips], edges[turn, flips + 1]
                if spent + end - begin > budget:
                    break
                n_found, found_rows, found, spent = _probe(
                    keys[turn],
                    flip_keys[begin:end],
                    flip_masks[begin:end],
                    offsets[bases[turn] :],
                    np.uint64(parts[turn, 2]),
                    stored[turn],
                    inlined[turn],
                    flat,
                    code,
                    parts,
                    turn,
                    step,
                    cap,
                    enough,
                    budget,
                    candidate_cost,
                    spent,
                    n_found,
                    found_rows,
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
            length = _put(
                found_rows[:n_found],
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
