"""Probe the hash table, compiled: look-ups advance in groups, so that their cache misses overlap.

A look-up is a chain of two or three dependent memory accesses, each of which may miss every cache.
All look-ups of a group do one step of the chain, and prefetch the memory of the next step (Chen,
Ailamaki, Gibbons, Mowry, "Improving hash join performance through prefetching", ICDE 2004,
section 4).

The arrays of a table are those of `hashret.indexes.table.layout`: `blocks` and `entries` of its
`SortedKeys`, and `stored`, the rows of all runs longer than one. In an entry, the word beside a key
is its run: the upper half is the number of rows, the lower half where they begin in `stored`, or
for a run of one row the row itself.
"""

from __future__ import annotations

import numpy as np
from numba import carray, njit

from hashret.kernels.intrinsics import (
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
from hashret.kernels.packing import BLOCK, HALF, LOW
from hashret.kernels.selecting import sort_rows

_TABLE = (WORDS_2D, WORDS, WORD, WORDS, WORDS, WORD, ROWS)
#: The result of `bucket` if plain Python has to do the look-up.
LEFT = -1
_ONE = np.uint64(1)
_BLOCK = np.uint64(BLOCK)  # log2 of the cells in a block
_IN_BLOCK = np.uint64((1 << BLOCK) - 1)  # mask of a cell's number within its block
_GROUP = 64  # look-ups that advance together
_GROUP_OF_PROBES = 512  # probes of balls that advance together; more, because few find a key
_LINEAR = 8  # keys; so many are searched one after the other, more are bisected first


@njit(cache=True, nogil=True)
def _find(
    probes: np.ndarray,  # (n or more,) uint64
    n: int,
    blocks: np.ndarray,  # (2 * n_blocks,) uint64
    entries: np.ndarray,  # (2 * n_keys,) uint64
    cell_shift: int,
    which: np.ndarray,  # (n + 1 or more,) int64, written: positions in `probes`
    runs: np.ndarray,  # (n + 1 or more,) uint64, written: their runs
) -> int:
    """Write which of the first n probes are keys of the table, and their runs; returns how many."""
    for i in range(n):
        prefetch(blocks, _block_of(probes[i] >> cell_shift))
    present = 0
    for i in range(n):
        cell = probes[i] >> cell_shift
        which[present] = i
        present += blocks[_block_of(cell)] >> (cell & _IN_BLOCK) & _ONE
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
    """The position in `blocks` of the two words of a cell's block."""
    return int(cell >> _BLOCK << _ONE)


@njit(cache=True, nogil=True)
def _first_place(bitmap: int, places: int, cell: int) -> int:
    """The position of the first key of a cell whose bit is set; see `SortedKeys`."""
    return (places & LOW) + popcount(bitmap & ((_ONE << (cell & _IN_BLOCK)) - _ONE))


@njit(cache=True, nogil=True)
def _bisected(entries: np.ndarray, low: int, end: int, key: int) -> int:
    """The first position from `low` on whose key is at least `key`; `end` if none before it is."""
    high = end
    while high - low > _LINEAR:
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
    """The rows that have the code of each query: limits and rows of `Neighbors`, both int64.

    `shifts` and `mask` are the constants of the table's `LinearHash`. `words` is read only for
    codes of more than one word, whose keys may collide.
    """
    n = len(queries)
    query_runs = np.zeros(n, np.uint64)  # the run of each query
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
            query_runs[start + which[i]] = runs[i]
            length = np.int64(runs[i] >> HALF)
            total += int(length)
            if length > 1:
                prefetch(stored, np.int64(runs[i] & LOW))
    rows = np.empty(total, np.int64)
    limits = np.zeros(n + 1, np.int64)
    count = 0
    for query in range(n):
        length, begin = np.int64(query_runs[query] >> HALF), np.int64(query_runs[query] & LOW)
        for place in range(begin, begin + length):
            row = place if length == 1 else np.int64(stored[place])
            if words.shape[1] == 1 or _same(words[row], queries[query]):
                rows[count] = row
                count += 1
        limits[query + 1] = count
    return limits, rows[:count]


@njit(cache=True, nogil=True)
def _flipped(code: np.ndarray, query: np.ndarray, mask: np.ndarray) -> bool:
    """Whether a code differs from the query in exactly the bits of the mask."""
    same = True
    for word in range(len(code)):
        same &= code[word] ^ query[word] == mask[word]
    return same


@njit(cache=True, nogil=True)
def _gather(
    queries: np.ndarray,  # (n_queries, n_words) uint64
    words: np.ndarray,  # (n, n_words) uint64, or (0, 1) for codes of one word
    stored: np.ndarray,  # (n_shared,) uint32
    runs: np.ndarray,  # (n_runs, 3) int64: begin, length, position of the flip
    run_limits: np.ndarray,  # (n_queries + 1,) int64: where each query's runs begin
    first: int,  # bits; the least distance
    edges: np.ndarray,  # (most flips + 2,) int64
    flip_masks: np.ndarray,  # (m, n_words) uint64
    rows: np.ndarray,  # (total,) int64, written
    distances: np.ndarray,  # (total,) int32, written
) -> np.ndarray:
    """Write the rows of each query's runs, by distance and row; returns the limits."""
    limits = np.zeros(len(queries) + 1, np.int64)
    count = 0
    for query in range(len(queries)):
        sorted_to, flips = count, first  # the rows from `sorted_to` on are at distance `flips`
        for run in range(run_limits[query], run_limits[query + 1]):
            while runs[run, 2] >= edges[flips + 1]:
                sort_rows(rows, sorted_to, count)
                sorted_to = count
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
        sort_rows(rows, sorted_to, count)
        limits[query + 1] = count
    return limits


@njit((WORDS_2D, INT, INTS, *_TABLE, WORDS, WORDS_2D, INTS), cache=True, nogil=True)
def balls(
    queries: np.ndarray,  # (n_queries, n_words) uint64
    first: int,  # bits; the least distance of a hit
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
    """All rows at `first` to `radii` bits from each query.

    The keys that flip f bits are flip_keys[edges[f] : edges[f + 1]], and `flip_masks`, which is
    read when `words` is, has the bits themselves. Returns limits, rows and distances of
    `Neighbors`, and the numbers of probes and of comparisons.
    """
    n = len(queries)
    runs = np.empty((max(64, 2 * n), 3), np.int64)  # begin, length, position of the flip
    run_limits = np.zeros(n + 1, np.int64)  # where each query's runs begin
    # a group takes probes of several queries: a single query has few, and fewer that find a key
    probes = np.empty(_GROUP_OF_PROBES, np.uint64)
    probe_queries = np.empty(_GROUP_OF_PROBES, np.int64)
    flips = np.empty(_GROUP_OF_PROBES, np.int64)
    which = np.empty(_GROUP_OF_PROBES + 1, np.int64)
    found_runs = np.empty(_GROUP_OF_PROBES + 1, np.uint64)
    n_runs, probed, total, filled = 0, 0, 0, 0
    for query in range(n):
        key = key_of(queries[query], shifts, mask)
        flip, end = edges[first], edges[radii[query] + 1]
        while flip < end or (query == n - 1 and filled):
            size = max(0, min(_GROUP_OF_PROBES - filled, end - flip))
            for i in range(size):
                probes[filled + i] = key ^ flip_keys[flip + i]
                flips[filled + i] = flip + i
                probe_queries[filled + i] = query
            flip += size
            filled += size
            if filled < _GROUP_OF_PROBES and (flip < end or query < n - 1):
                continue
            found = _find(probes, filled, blocks, entries, cell_shift, which, found_runs)
            probed += filled
            filled = 0
            if n_runs + found > len(runs):
                longer = np.empty((2 * (n_runs + found), 3), np.int64)
                longer[:n_runs] = runs[:n_runs]
                runs = longer
            for i in range(found):
                begin, length = np.int64(found_runs[i] & LOW), np.int64(found_runs[i] >> HALF)
                runs[n_runs, 0] = begin
                runs[n_runs, 1] = length
                runs[n_runs, 2] = flips[which[i]]
                run_limits[probe_queries[which[i]] + 1] += 1
                total += int(length)
                if length > 1:
                    prefetch(stored, begin)
                n_runs += 1
    for query in range(n):
        run_limits[query + 1] += run_limits[query]
    rows = np.empty(total, np.int64)
    distances = np.empty(total, np.int32)
    limits = _gather(
        queries, words, stored, runs, run_limits, first, edges, flip_masks, rows, distances
    )
    compared = total if words.shape[1] > 1 else 0
    return limits, rows[: limits[n]], distances[: limits[n]], probed, compared


# int64 as argument and result: Numba converts a uint64 to or from Python 0.125 us more slowly
@njit((CODE, INT), cache=True, nogil=True)
def bucket(code: bytes, address: int) -> int:
    """The number of rows with this code, times 2**36, plus the position where they begin.

    Several rows begin at that position in `stored`. A single row is not in `stored`; its position
    is in `entries`, taken as an array of uint32. The result is 0 if no row has the code. It is
    LEFT if rows of other codes have the same key, if there are 2**27 rows or more, or if the code
    has another length.

    `address` is that of 14 words: the addresses of blocks, entries, stored and packed codes; the
    cell shift; the hash's mask and its seven shifts; the length of a code in bytes.
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
    if not bitmap >> (cell & _IN_BLOCK) & _ONE:
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


#: `bucket` without Numba's dispatch by argument types, which takes as long as the look-up. The
#: caller must check that the code is `bytes`: for a strided array the wrong bytes would be read.
single = bucket.get_overload((CODE, INT))
