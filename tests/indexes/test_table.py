"""What the hash table promises beyond the contract: memory, single look-ups, bounded work."""

import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes import linear_hash
from hashret.indexes.linear_hash import LinearHash, flip_keys
from hashret.indexes.table import layout
from hashret.indexes.table.index import TableIndex
from hashret.indexes.table.layout import SortedKeys
from tests.indexes.reference import WIDTHS, as_lists, codes_and_queries, inside, make_codes


@given(codes_and_queries())
def test_bucket_gives_the_rows_of_one_code(data):
    codes, queries = data
    table = TableIndex(codes)
    for query in queries.packed:
        expected = np.flatnonzero((codes.packed == query).all(axis=1))
        assert table.bucket(query.tobytes()).tolist() == expected.tolist()


def test_bucket_refuses_another_length():
    with pytest.raises(ValueError, match="expected 8 bytes, got 7"):
        TableIndex(Codes.empty(64)).bucket(b"1234567")


def test_a_bucket_of_other_bytes_than_bytes_is_the_same():
    codes = Codes(np.random.default_rng(0).integers(0, 256, (100, 8), dtype=np.uint8))
    table = TableIndex(codes)
    for code in (bytearray(codes.packed[7]), memoryview(codes.packed[7]), codes.packed[7]):
        assert table.bucket(code).tolist() == [7]
    # a kernel would read the bytes in the gaps
    with_gaps = memoryview(np.repeat(codes.packed[7], 2))[::2]
    assert table.bucket(with_gaps).tolist() == [7]


@pytest.mark.parametrize("n", [46_341, 65_536, 92_681])  # the worst and the best cell sizes
def test_at_most_22_bytes_an_item(n):
    codes = Codes.pack(make_codes("uniform", n, 64, np.random.default_rng(0)))
    assert TableIndex(codes).n_bytes <= 22 * n + 64


def read_only(tensors):
    copies = {name: array.copy() for name, array in tensors.items()}
    for array in copies.values():
        array.flags.writeable = False
    return copies


@given(codes_and_queries())
def test_a_table_from_its_tensors_answers_as_the_one_they_are_of(data):
    codes, queries = data
    built = TableIndex(codes)
    table = TableIndex.from_tensors(codes, read_only(built.tensors()))
    assert table.n_bytes == built.n_bytes
    found, expected = table.within(queries, 1), built.within(queries, 1)
    assert found.rows.tolist() == expected.rows.tolist()
    assert found.limits.tolist() == expected.limits.tolist()
    for query in queries.packed:
        assert table.bucket(query.tobytes()).tolist() == built.bucket(query.tobytes()).tolist()


def in_small_parts():
    """Chunks and parts so small that a few hundred codes take the way of millions."""
    return patch.multiple(layout, _CHUNK=8, _PART_BITS=2)


@given(codes_and_queries())
def test_a_table_built_in_parts_holds_each_code_with_its_rows(data):
    codes, _ = data
    with in_small_parts():
        keys, rows = layout.built(codes, LinearHash(codes.n_bits))
    blocks, entries, _ = keys.arrays
    expected: dict[int, list[int]] = {}
    for row, packed in enumerate(codes.packed):
        key = LinearHash(codes.n_bits).key(int.from_bytes(packed.tobytes(), "little"))
        expected.setdefault(key, []).append(row)
    found = {}
    for key, run in entries.reshape(-1, 2).tolist():
        length, at = divmod(run, 1 << 32)
        found[key] = [at] if length == 1 else rows[at : at + length].tolist()
    assert list(found.items()) == sorted(expected.items())
    assert sum(len(run) for run in found.values() if len(run) > 1) == len(rows)
    whole = TableIndex(codes).tensors()
    assert [blocks.tolist(), entries.tolist()] == [
        whole["blocks"].tolist(),
        whole["entries"].tolist(),
    ]


# keys that share the digits by which they are sorted, and differ below them or above them
near_keys = st.builds(
    lambda high, low: high << 56 | low, st.integers(0, 1), st.integers(0, 1 << 30)
) | st.integers(0, 6)


@given(st.lists(near_keys, max_size=60), st.sampled_from([64, 56, 40, 32, 20, 8]))
def test_keys_of_a_part_come_in_order_and_rows_within_keys(keys, width):
    keys = [key & ((1 << width) - 1) for key in keys]
    pairs = np.array([*zip(keys, range(7, 7 + len(keys)), strict=True)], np.uint64)
    found, rows = layout._in_order(pairs.ravel(), width)
    assert [*zip(found.tolist(), rows.tolist(), strict=True)] == sorted(map(tuple, pairs.tolist()))


def test_building_takes_little_more_memory_than_the_table():
    n = 1 << 18
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (n // 8, 8), dtype=np.uint8)
    flips = np.bitwise_and.reduce(rng.integers(0, 256, (4, n, 8), dtype=np.uint8))
    flips[::3] = 0  # many share a code
    codes = Codes(centres[rng.integers(0, len(centres), n)] ^ flips)
    with patch.multiple(layout, _CHUNK=1 << 13, _PART_BITS=10):
        tracemalloc.start()
        table = TableIndex(codes)
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak <= 30 * n
    assert held <= table.n_bytes + (1 << 16)  # what was left over of the arrays was given back


hostile = st.one_of(
    st.integers(0, 7),
    st.integers(0, 2**64 - 1),
    st.builds(lambda length, at: length << 32 | at, st.integers(0, 9), st.integers(0, 400)),
)


@given(codes_and_queries(), st.data())
def test_no_tensor_leads_a_look_up_beyond_the_arrays(data, draw):
    """Whoever made it up: an error, or rows that are there and no more than there are."""
    codes, queries = data
    tensors = TableIndex(codes).tensors()
    for name, array in tensors.items():
        changed = array.copy()
        for _ in range(draw.draw(st.integers(0, 3)) if len(array) else 0):
            place = draw.draw(st.integers(0, len(array) - 1))
            changed[place] = draw.draw(hostile) & np.iinfo(array.dtype).max
        tensors[name] = changed
    try:
        with in_small_parts():
            table = TableIndex.from_tensors(codes, tensors)
    except DamagedError:
        return
    asked = Codes(np.concatenate([queries.packed, codes.packed]))
    for found in (table.within(asked, 0), table.within(asked, 1)):
        assert len(found.rows) <= len(asked) * len(codes)
        assert ((found.rows >= 0) & (found.rows < len(codes))).all()
    for code in asked.packed:
        assert (table.bucket(code.tobytes()) < len(codes)).all()


def tensors_of_a_few() -> tuple[Codes, dict[str, np.ndarray]]:
    codes = Codes(np.random.default_rng(0).integers(0, 4, (300, 3), dtype=np.uint8))
    return codes, TableIndex(codes).tensors()


def test_tensors_of_other_types_and_lengths_are_refused():
    codes, tensors = tensors_of_a_few()
    for other in (codes[:299], Codes.empty(24)):
        with pytest.raises(DamagedError, match="expected that of these"):
            TableIndex.from_tensors(other, tensors)
    for name, array in tensors.items():
        for wrong in (array[:-1], array[:-2], array[:0], array.astype(np.int64), array[None]):
            with pytest.raises(DamagedError):
                TableIndex.from_tensors(codes, {**tensors, name: wrong})
        with pytest.raises(DamagedError):
            TableIndex.from_tensors(codes, {n: a for n, a in tensors.items() if n != name})


def with_run(length: int, at: int) -> int:
    return length << 32 | at


@pytest.mark.parametrize(
    ("name", "place", "change"),
    [
        ("blocks", 1, lambda word: word | 1 << 63),  # ends after the last key
        ("blocks", 1, lambda word: word + 1),  # begins after what it says of cells with keys
        ("blocks", 0, lambda word: 2**64 - 1),  # more cells with keys than keys
        ("entries", 1, lambda run: with_run(run >> 32, 300 - (run >> 32))),  # ends after the last
        ("entries", 1, lambda run: with_run((run >> 32) - 1, run & 0xFFFFFFFF)),  # a row less
        ("entries", -1, lambda run: with_run(1, 300)),  # of one row, which is not there
        ("rows", 0, lambda row: 300),
        ("rows", -1, lambda row: 2**32 - 1),
    ],
)
def test_each_bound_is_kept(name, place, change):
    # the last key has one row, the others have several
    last = np.argmax(LinearHash(16)(np.arange(1 << 16, dtype=np.uint64)[:, None]))
    codes = np.random.default_rng(0).integers(0, 4, (300, 2), dtype=np.uint8)
    codes[299] = divmod(int(last), 256)[::-1]
    codes = Codes(codes)
    tensors = TableIndex(codes).tensors()
    assert tensors["entries"][-1] == with_run(1, 299)
    changed = tensors[name].copy()
    changed[place] = change(int(changed[place]))
    assert changed[place] != tensors[name][place]
    with in_small_parts(), pytest.raises(DamagedError):
        TableIndex.from_tensors(codes, {**tensors, name: changed})


def codes_of_one_key(n: int, rng: np.random.Generator) -> Codes:
    """Different codes of 128 bits that the hash folds onto three keys."""
    high = rng.integers(0, 1 << 63, n, dtype=np.uint64)
    mixed = LinearHash(64)(high[:, None])  # the hash of a code is that of mixed ^ low
    low = mixed ^ rng.integers(0, 3, n, dtype=np.uint64)
    codes = Codes(np.stack([low, high], axis=1).view(np.uint8))
    assert len(np.unique(LinearHash(128)(codes.words))) == 3
    return codes


def test_long_codes_with_one_key_are_told_apart():
    rng = np.random.default_rng(1)
    packed = codes_of_one_key(100, rng).packed
    near = packed.copy()
    near[np.arange(100), rng.integers(0, 16, 100)] ^= 1 << rng.integers(0, 8, 100, dtype=np.uint8)
    codes = Codes(np.concatenate([packed, near, packed[:50]]))
    for width in (0, 1):
        found = TableIndex(codes, probe_cost=1e-3).within(codes, width)
        assert as_lists(found) == inside(codes, codes, [width] * len(codes))
    assert found.work.compared > len(found.rows)
    for query in range(len(codes)):
        bucket = TableIndex(codes).bucket(codes.packed[query].tobytes())
        assert bucket.tolist() == found[query][0][found[query][1] == 0].tolist()


def test_a_wide_ball_is_scanned_not_enumerated():
    codes = Codes.pack(make_codes("clustered", 500, 64, np.random.default_rng(0)))
    table = TableIndex(codes)
    narrow, wide = table.within(codes[:3], 0), table.within(codes[:3], 20)
    assert (narrow.work.probed, narrow.work.compared) == (3, 0)
    assert (wide.work.probed, wide.work.compared) == (0, 3 * 500)


def test_search_stops_probing_when_it_has_k():
    codes = Codes.pack(make_codes("duplicates", 4000, 24, np.random.default_rng(0)))
    found = TableIndex(codes).search(codes[:5], 3)
    assert (found.work.probed, found.work.compared) == (
        5,
        0,
    )  # the bucket itself holds more than three
    assert (found.complete_radius == 0).all()


@pytest.mark.parametrize("n_bits", WIDTHS)
def test_the_hash_is_linear_and_up_to_64_bits_one_to_one(n_bits):
    rng = np.random.default_rng(n_bits)
    codes = Codes.pack(make_codes("uniform", 200, n_bits, rng)).words
    mix = LinearHash(n_bits)
    a, b = codes[:100], codes[100:]
    assert (mix(a ^ b) == mix(a) ^ mix(b)).all()
    whole = mix(codes)
    with patch.object(linear_hash, "_BLOCK", 30):  # a few at once, as with many codes
        assert (mix(codes) == whole).all()
    assert (mix(a) <= np.uint64((1 << mix.width) - 1)).all()
    for words, key in zip(a[:5], mix(a[:5]), strict=True):
        assert mix.key(int.from_bytes(words.astype("<u8").tobytes(), "little")) == key
    if n_bits <= 64:  # a linear map is one-to-one where its columns are independent
        basis: list[int] = []
        for column in flip_keys(n_bits, 1).tolist():
            for other in basis:
                column = min(column, column ^ other)
            assert column
            basis.append(column)


def test_clustered_codes_spread_over_the_leading_bits():
    codes = Codes.pack(make_codes("clustered", 20_000, 64, np.random.default_rng(0)))
    keys = np.unique(LinearHash(64)(codes.words))
    slots = np.bincount((keys >> np.uint64(64 - 14)).astype(np.int64))
    assert slots.max() < 16  # of 1.2 on average


@given(
    st.sets(st.integers(0, 2**12 - 1)),
    st.lists(st.integers(0, 2**12 - 1)),
    st.sampled_from([(12, 0), (64, 0), (64, 44), (64, 52)]),
)
def test_sorted_keys_find_what_is_there(keys, probes, where):
    # of 64 bits the lowest 12: all keys in one cell, as a hash that spreads badly would have them;
    # somewhat higher: several blocks, and many keys to a cell
    width, shift = where
    order = [key << shift for key in sorted(keys)]
    probes = [probe << shift for probe in probes]
    ranks = np.arange(len(order), dtype=np.uint64)
    stored = SortedKeys.build(np.array(order, np.uint64), ranks, width)
    probes = probes + order[:5]
    which, words = stored.find(np.array(probes, np.uint64))
    found = dict(zip(which.tolist(), words.tolist(), strict=True))
    assert found == {i: order.index(probe) for i, probe in enumerate(probes) if probe in order}
    places = [stored.place(probe) for probe in probes]
    assert places == [found.get(i, -1) for i in range(len(probes))]
    assert all(stored.word(place) == place for place in places if place >= 0)
