"""What the hash table promises beyond the contract: memory, single look-ups, bounded work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes.linear_hash import LinearHash, flip_keys
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


@given(codes_and_queries(), st.data())
def test_no_tensor_of_a_table_is_believed_that_is_another(data, draw):
    codes, _ = data
    tensors = TableIndex(codes).tensors()
    name = draw.draw(st.sampled_from([n for n, array in tensors.items() if len(array)]))
    array = tensors[name].copy()
    place = draw.draw(st.integers(0, len(array) - 1))
    bit = draw.draw(st.integers(0, 8 * array.itemsize - 1))
    array[place] ^= array.dtype.type(1 << bit)
    with pytest.raises(DamagedError, match="expected that of these"):
        TableIndex.from_tensors(codes, {**tensors, name: array})


def test_the_tensors_of_other_codes_or_none_are_refused():
    rng = np.random.default_rng(0)
    codes = Codes(rng.integers(0, 4, (300, 3), dtype=np.uint8))
    tensors = TableIndex(codes).tensors()
    swapped = codes[np.r_[1, 0, 2:300]]
    assert swapped.packed[0].tobytes() != codes.packed[0].tobytes()
    for other in (swapped, codes[:299], Codes.empty(24)):
        with pytest.raises(DamagedError):
            TableIndex.from_tensors(other, tensors)
    for name, array in tensors.items():
        for wrong in (array[:-1], array[:-2], array.astype(np.int64), array[None]):
            with pytest.raises(DamagedError):
                TableIndex.from_tensors(codes, {**tensors, name: wrong})
        with pytest.raises(DamagedError):
            TableIndex.from_tensors(codes, {n: a for n, a in tensors.items() if n != name})


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
