"""Probing the hash table, compiled: many look-ups at a time, so that memory answers many at once.

A look-up is a chain of two accesses, or three, each of which may miss every cache. A group of
look-ups takes one step of the chain together, and asks for the next step's memory before it is
needed (Chen, Ailamaki, Gibbons, Mowry, "Improving hash join performance through prefetching",
ICDE 2004, section 4).
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from hashret.indexes.kernels.intrinsics import (
    CODE,
    INT,
    INTS,
    ROWS,
    WORD,
    WORDS,
    WORDS_2D,
    byte_at,
    key_of,
    mix,
    popcount,
    prefetch,
    row_at,
    word_at,
    words_pointer,
)
from hashret.indexes.kernels.selecting import sort_rows
from hashret.indexes.table.layout import BLOCK, HALF, LOW

_TABLE = (WORDS_2D, WORDS, WORD, WORDS, WORDS, WORD, ROWS)
LEFT = -1  # the answer to a single look-up that is left to plain Python
_ONE, _SIX, _INNER = np.uint64(1), np.uint64(BLOCK), np.uint64((1 << BLOCK) - 1)
_GROUP = 64  # look-ups that advance together
_MANY = 512  # probes of balls that do, of which few are found
_FULL = 8  # keys of a block are looked at one after the other; few blocks hold more


@njit(cache=True, nogil=True)
def _find(
    probes: np.ndarray,  # (n or more,) uint64
    n: int,
    blocks: np.ndarray,  # (2 * n_blocks,) uint64
    entries: np.ndarray,  # (2 * n_keys,) uint64
    cell_shift: int,
    which: np.ndarray,  # (n + 1 or more,) int64, written
    runs: np.ndarray,  # (n + 1 or more,) uint64, written
) -> int:
    """Which of the first n probes are keys, and their words; how many."""
    for i in range(n):
        prefetch(blocks, _block_of(probes[i] >> cell_shift))
    present = 0
    for i in range(n):
        cell = probes[i] >> cell_shift
        which[present] = i
        present += blocks[_block_of(cell)] >> (cell & _INNER) & _ONE
    for i in range(present):
        cell = probes[which[i]] >> cell_shift
        at = _block_of(cell)
        runs[i] = _first_place(blocks[at], blocks[at + 1], cell)
        prefetch(entries, 2 * np.int64(runs[i]))
    found = 0
    for i in range(present):
        probe = probes[which[i]]
        place = np.int64(runs[i])
        if entries[2 * place] != probe:
            end = np.int64(blocks[_block_of(probe >> cell_shift) + 1] >> HALF)
            place = _bisected(entries, place, end, probe)
            if place == end or entries[2 * place] != probe:
                continue
        which[found] = which[i]
        runs[found] = entries[2 * place + 1]
        found += 1
    return found


@njit(cache=True, nogil=True)
def _block_of(cell: int) -> int:
    """Where the block of a cell stands among the words of all."""
    return int(cell >> _SIX << _ONE)


@njit(cache=True, nogil=True)
def _first_place(bitmap: int, places: int, cell: int) -> int:
    """The least position that a key of this cell can have; see `SortedKeys`."""
    return (places & LOW) + popcount(bitmap & ((_ONE << (cell & _INNER)) - _ONE))


@njit(cache=True, nogil=True)
def _bisected(entries: np.ndarray, low: int, end: int, key: int) -> int:
    """The first position from `low` on, before `end`, whose key is not below this one."""
    high = end
    while high - low > _FULL:
        middle = (low + high) >> 1
        if entries[2 * middle] < key:
            low = middle + 1
        else:
            high = middle
    while low < end and entries[2 * low] < key:
        low += 1
    return low


@njit(cache=True, nogil=True)
def _same(code: np.ndarray, other: np.ndarray) -> bool:
    same = True
    for word in range(len(code)):
        same &= code[word] == other[word]
    return same


@njit((WORDS_2D, *_TABLE), cache=True, nogil=True)
def buckets(
    queries: np.ndarray,  # (n_queries, n_words) uint64
    words: np.ndarray,  # (n, n_words) uint64, or (0, 1) for codes of one word
    shifts: np.ndarray,  # (7,) uint64
    mask: int,
    blocks: np.ndarray,  # (2 * n_blocks,) uint64
    entries: np.ndarray,  # (2 * n_keys,) uint64
    cell_shift: int,
    stored: np.ndarray,  # (n_shared,) uint32
) -> tuple[np.ndarray, np.ndarray]:
    """The rows with the code of each query (n_queries, n_words): limits and rows, both int64.

    `entries` are keys, each followed by its run: the length, and in the lower half where the run
    begins in `stored`, or of a run of one its row itself. `words` is read for codes of more than
    one word only, whose keys may collide.
    """
    n = len(queries)
    held = np.zeros(n, np.uint64)  # the run of each query
    probes = np.empty(_GROUP, np.uint64)
    which = np.empty(_GROUP + 1, np.int64)
    runs = np.empty(_GROUP + 1, np.uint64)
    total = 0
    for start in range(0, n, _GROUP):
        size = min(_GROUP, n - start)
        for i in range(size):
            probes[i] = key_of(queries[start + i], shifts, mask)
        found = _find(probes, size, blocks, entries, cell_shift, which, runs)
        for i in range(found):
            held[start + which[i]] = runs[i]
            length = np.int64(runs[i] >> HALF)
            total += int(length)
            if length > 1:
                prefetch(stored, np.int64(runs[i] & LOW))
    rows = np.empty(total, np.int64)
    limits = np.zeros(n + 1, np.int64)
    count = 0
    for query in range(n):
        length, begin = np.int64(held[query] >> HALF), np.int64(held[query] & LOW)
        for place in range(begin, begin + length):
            row = place if length == 1 else np.int64(stored[place])
            if words.shape[1] == 1 or _same(words[row], queries[query]):
                rows[count] = row
                count += 1
        limits[query + 1] = count
    return limits, rows[:count]


@njit(cache=True, nogil=True)
def _flipped(code: np.ndarray, query: np.ndarray, mask: np.ndarray) -> bool:
    same = True
    for word in range(len(code)):
        same &= code[word] ^ query[word] == mask[word]
    return same


@njit(cache=True, nogil=True)
def _gather(
    queries: np.ndarray,  # (n_queries, n_words) uint64
    words: np.ndarray,  # (n, n_words) uint64, or (0, 1) for codes of one word
    stored: np.ndarray,  # (n_shared,) uint32
    runs: np.ndarray,  # (n_runs, 3) int64: begin, length, flip
    last: np.ndarray,  # (n_queries + 1,) int64
    first: int,
    edges: np.ndarray,  # (most flips + 2,) int64
    flip_masks: np.ndarray,  # (m, n_words) uint64
    rows: np.ndarray,  # (total,) int64, written
    distances: np.ndarray,  # (total,) int32, written
) -> np.ndarray:
    """Write the rows of each query's runs, ordered by distance and row; the limits."""
    limits = np.zeros(len(queries) + 1, np.int64)
    count = 0
    for query in range(len(queries)):
        begun, flips = count, first
        for run in range(last[query], last[query + 1]):
            while runs[run, 2] >= edges[flips + 1]:
                sort_rows(rows, begun, count)
                begun = count
                flips += 1
            begin, length = runs[run, 0], runs[run, 1]
            if words.shape[1] == 1:
                if length == 1:
                    rows[count] = begin
                else:
                    rows[count : count + length] = stored[begin : begin + length]
                distances[count : count + length] = flips
                count += length
                continue
            for place in range(begin, begin + length):
                row = place if length == 1 else np.int64(stored[place])
                if _flipped(words[row], queries[query], flip_masks[runs[run, 2]]):
                    rows[count] = row
                    distances[count] = flips
                    count += 1
        sort_rows(rows, begun, count)
        limits[query + 1] = count
    return limits


@njit((WORDS_2D, INT, INTS, *_TABLE, WORDS, WORDS_2D, INTS), cache=True, nogil=True)
def balls(
    queries: np.ndarray,  # (n_queries, n_words) uint64
    first: int,
    radii: np.ndarray,  # (n_queries,) int64, bits, inclusive
    words: np.ndarray,  # (n, n_words) uint64, or (0, 1) for codes of one word
    shifts: np.ndarray,  # (7,) uint64
    mask: int,
    blocks: np.ndarray,  # (2 * n_blocks,) uint64
    entries: np.ndarray,  # (2 * n_keys,) uint64
    cell_shift: int,
    stored: np.ndarray,  # (n_shared,) uint32
    flip_keys: np.ndarray,  # (m,) uint64
    flip_masks: np.ndarray,  # (m, n_words) uint64
    edges: np.ndarray,  # (most flips + 2,) int64
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int]:
    """The rows from `first` to `radii` (n_queries,) bits from each query, as in `Neighbors`.

    flip_keys[edges[f] : edges[f + 1]] are the keys of f flipped bits and `flip_masks` the bits
    themselves, read as `words` is. Returns limits, rows, distances, probes and comparisons.
    """
    n = len(queries)
    runs = np.empty((max(64, 2 * n), 3), np.int64)  # where a run begins, its length, its flip
    last = np.zeros(n + 1, np.int64)  # the runs of each query
    # probes of several queries go together: few of one are found, and each is a chain of waits
    probes = np.empty(_MANY, np.uint64)
    asked = np.empty(_MANY, np.int64)
    flips = np.empty(_MANY, np.int64)
    which = np.empty(_MANY + 1, np.int64)
    held = np.empty(_MANY + 1, np.uint64)
    n_runs, probed, total, filled = 0, 0, 0, 0
    for query in range(n):
        key = key_of(queries[query], shifts, mask)
        flip, end = edges[first], edges[radii[query] + 1]
        while flip < end or (query == n - 1 and filled):
            size = max(0, min(_MANY - filled, end - flip))
            for i in range(size):
                probes[filled + i] = key ^ flip_keys[flip + i]
                flips[filled + i] = flip + i
                asked[filled + i] = query
            flip += size
            filled += size
            if filled < _MANY and (flip < end or query < n - 1):
                continue
            found = _find(probes, filled, blocks, entries, cell_shift, which, held)
            probed += filled
            filled = 0
            if n_runs + found > len(runs):
                longer = np.empty((2 * (n_runs + found), 3), np.int64)
                longer[:n_runs] = runs[:n_runs]
                runs = longer
            for i in range(found):
                begin, length = np.int64(held[i] & LOW), np.int64(held[i] >> HALF)
                runs[n_runs, 0] = begin
                runs[n_runs, 1] = length
                runs[n_runs, 2] = flips[which[i]]
                last[asked[which[i]] + 1] += 1
                total += int(length)
                if length > 1:
                    prefetch(stored, begin)
                n_runs += 1
    for query in range(n):
        last[query + 1] += last[query]
    rows = np.empty(total, np.int64)
    distances = np.empty(total, np.int32)
    limits = _gather(queries, words, stored, runs, last, first, edges, flip_masks, rows, distances)
    compared = total if words.shape[1] > 1 else 0
    return limits, rows[: limits[n]], distances[: limits[n]], probed, compared


# int64, in and out: a uint64 takes Numba an eighth of a microsecond more to take in or hand out
@njit((CODE, INT), cache=True, nogil=True)
def bucket(code: bytes, address: int) -> int:
    """The length of the run of rows with this code, times 2**36, plus where it begins.

    A run of one row is not among the rows: then where it is among the halves of the entries. 0 if
    there is none, LEFT for a run that also holds other codes of the same key, one of 2**27 rows or
    more, and a code of another length. `address` is that of 14 words: the addresses of blocks,
    entries, rows and packed codes; the shift to cells; the hash's mask and its seven shifts; the
    length of a code.
    """
    table = carray(words_pointer(np.uint64(address)), (14,))
    if len(code) != table[13]:
        return LEFT
    key = np.uint64(0)
    n_words = (len(code) + 7) >> 3
    for word in range(n_words - 1, -1, -1):
        value = np.uint64(0)
        for byte in range(min(8 * word + 8, len(code)) - 1, 8 * word - 1, -1):
            value = (value << np.uint64(8)) | np.uint64(code[byte])
        key = mix(key ^ value, table[6:13], table[5])
    cell = key >> table[4]
    at = _block_of(cell)
    bitmap, places = word_at(table[0], at), word_at(table[0], at + 1)
    if not bitmap >> (cell & _INNER) & _ONE:
        return 0
    place, end = np.int64(_first_place(bitmap, places, cell)), np.int64(places >> HALF)
    while place < end and word_at(table[1], 2 * place) < key:
        place += 1
    if place == end or word_at(table[1], 2 * place) != key:
        return 0
    run = word_at(table[1], 2 * place + 1)
    length, begin = np.int64(run >> HALF), np.int64(run & LOW)
    if n_words > 1:
        for i in range(begin, begin + length):
            row = i if length == 1 else np.int64(row_at(table[2], i))
            for byte in range(len(code)):
                if byte_at(table[3], row * len(code) + byte) != code[byte]:
                    return LEFT
    if length >> 27:
        return LEFT
    at = 4 * place + 2 if length == 1 else begin
    return int(length << 36 | at)


#: `bucket` past Numba's choice by the types of arguments, which takes as long as the look-up. Who
#: calls it checks that the code is `bytes`: of an array with gaps the wrong bytes would be read.
single = bucket.get_overload((CODE, INT))
