"""Rows of features are read from mapped files: only their blocks, and never what can't be theirs."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from hashret.errors import DamagedError
from hashret.sparse import SparseRows, dense_rows, values_of
from hashret.store.disk import checked
from hashret.store.disk.checked import CheckedFile
from hashret.store.disk.files import BLOCK, FileRecord, write_file
from hashret.store.layout import Layout
from hashret.store.segments.feature_files import FeatureFile, StoredFeatures, write_features
from hashret.store.segments.mapped_tensors import mapped_tensors
from hashret.store.segments.segment import Segment
from tests.models.encoders import as_sparse

TYPES = ["float16", "float32", "uint16", "int32", "int64"]
WIDTH = 6
NO_CODES = FileRecord("x.npy", 0, "")


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return Layout.create(tmp_path_factory.mktemp("features") / "c")


def three_rows():
    """Rows (1.0 at 0, 2.0 at 3), none, (3.0 at 5)."""
    indices = np.array([0, 3, 5], np.int32)
    return SparseRows(np.array([0, 2, 2, 3]), indices, np.arange(1, 4, dtype=np.float32), WIDTH)


def opened(layout, content, n_rows=3):
    record = write_file(layout.segments / "hostile.safetensors", [content])
    return FeatureFile(layout, record, n_rows, WIDTH)


def of_header(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@given(
    arrays=st.dictionaries(
        st.text(max_size=3),
        st.tuples(st.sampled_from(TYPES), st.lists(st.integers(0, 3), max_size=3)),
        min_size=1,
        max_size=4,
    )
)
def test_the_arrays_are_those_that_the_library_wrote(layout, arrays):
    made = {name: np.arange(np.prod(s), dtype=t).reshape(s) for name, (t, s) in arrays.items()}
    record = write_file(layout.segments / "arrays", [save(made)])
    found = mapped_tensors(CheckedFile(layout.segments / "arrays", record))
    assert found.keys() == made.keys()
    for name, tensor in found.items():
        assert (tensor.elements.dtype, tensor.shape) == (made[name].dtype, made[name].shape)
        assert np.array_equal(tensor.elements.reshape(tensor.shape), made[name])


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = entry(0, 72, [3, WIDTH])
HEADERS = {
    "no length": b"\x01",
    "nothing": b"",
    "a length beyond the file": (1 << 20).to_bytes(8, "little") + b"{}",
    "the largest length": b"\xff" * 8 + b"{}",
    "a long header": of_header(b"{}" + b" " * 5000),
    "no JSON": of_header(b"{"),
    "no UTF-8": of_header(b'{"\xff": 1}'),
    "a list": of_header([1]),
    "deep lists": of_header(b"[" * 4000),
    "deep objects": of_header(b'{"a":' * 800),
    "a large number": of_header(b'{"values": ' + b"9" * 4000 + b"}"),
    "no arrays": of_header({}),
    "a name twice": of_header(
        f'{{"values": {json.dumps(GOOD)}, "values": {json.dumps(GOOD)}}}'.encode(), bytes(72)
    ),
    "a field twice": of_header(
        f'{{"values": {json.dumps(GOOD)[:-1]}, "dtype": "F32"}}}}'.encode(), bytes(72)
    ),
    "another name": of_header({"other": GOOD}, bytes(72)),
    "one more name": of_header({"values": GOOD, "indptr": entry(72, 72, [0])}, bytes(72)),
    "no object": of_header({"values": 3}, bytes(72)),
    "a field less": of_header({"values": {"dtype": "F32", "shape": [0]}}),
    "a field more": of_header({"values": GOOD | {"more": 1}}, bytes(72)),
    "an unknown type": of_header({"values": GOOD | {"dtype": "F8"}}, bytes(72)),
    "a type that is no name": of_header({"values": GOOD | {"dtype": ["F32"]}}, bytes(72)),
    "wide floats": of_header({"values": GOOD | {"dtype": "F64"}}, bytes(72)),
    "whole numbers": of_header({"values": GOOD | {"dtype": "I32"}}, bytes(72)),
    "another shape": of_header({"values": entry(0, 72, [WIDTH, 3])}, bytes(72)),
    "one dimension": of_header({"values": entry(0, 72, [18])}, bytes(72)),
    "a negative size": of_header({"values": entry(0, 72, [-3, -WIDTH])}, bytes(72)),
    "sizes of floats": of_header({"values": entry(0, 72, [3.0, 6.0])}, bytes(72)),
    "sizes of booleans": of_header({"values": entry(False, 72, [3, WIDTH])}, bytes(72)),
    "sizes that overflow": of_header({"values": entry(0, 0, [1 << 62, 1 << 62, 0])}),
    "a shape of text": of_header({"values": entry(0, 72, "36")}, bytes(72)),
    "one offset": of_header({"values": GOOD | {"data_offsets": [0]}}, bytes(72)),
    "offsets beyond the file": of_header({"values": entry(1 << 40, (1 << 40) + 72, [3, 6])}),
    "offsets in reverse": of_header({"values": entry(72, 0, [3, WIDTH])}, bytes(72)),
    "offsets before the arrays": of_header({"values": entry(-8, 64, [3, WIDTH])}, bytes(72)),
    "too small a place": of_header({"values": entry(0, 71, [3, WIDTH])}, bytes(71)),
    "cut": of_header({"values": GOOD}, bytes(71)),
    "bytes behind": of_header({"values": GOOD}, bytes(80)),
    "a gap before": of_header({"values": entry(8, 80, [3, WIDTH])}, bytes(80)),
    "arrays that overlap, and leave a gap": of_header(
        {
            "indptr": entry(0, 32, [4], "I64"),
            "indices": entry(24, 36, [3], "I32"),
            "values": entry(44, 56, [3]),
        },
        bytes(56),
    ),
}


@pytest.mark.parametrize(("n_rows", "width"), [(4, 2), (3, 5), (2, 3)])
@pytest.mark.parametrize("sparse", [True, False])
def test_features_of_another_shape_are_damage(layout, sparse, n_rows, width):
    rows = three_rows() if sparse else np.ones((3, WIDTH), np.float32)
    record = write_features(layout, "shape", rows)
    with pytest.raises(DamagedError, match="features of a segment"):
        FeatureFile(layout, record, n_rows, width).take(np.array([0, 2]))


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS.keys())
def test_a_hostile_header_is_damage(layout, content):
    with pytest.raises(DamagedError, match=r"expected the features of a segment, got .*index"):
        opened(layout, content)


def test_what_the_hostile_headers_are_made_from_is_read(layout):
    values = np.arange(18, dtype=np.float32).reshape(3, WIDTH)
    file = opened(layout, of_header({"values": GOOD}, values.tobytes()))
    assert np.array_equal(file.take(np.array([2, 0])), values[[2, 0]])


VALID = {
    "sparse": {
        "indptr": np.array([0, 2, 2, 3]),
        "indices": np.array([0, 3, 5], np.uint16),
        "values": np.arange(1, 4, dtype=np.float16),
    },
    "dense": {"values": np.arange(18, dtype=np.float32).reshape(3, WIDTH)},
}


@settings(max_examples=120)
@given(
    kind=st.sampled_from(list(VALID)),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_any_other_bytes_are_damage_or_features(layout, kind, changes):
    content = bytearray(save(VALID[kind]))
    for at, byte in changes:
        content[at % len(content)] = byte
    try:
        taken = opened(layout, bytes(content)).take(np.array([2, 0, 1]))
    except DamagedError:
        return
    assert taken.shape == (3, WIDTH)
    assert np.isfinite(dense_rows(taken)).all()


BAD = {
    "rows in reverse": ({"indptr": [0, 2, 1, 3]}, 1),
    "rows beyond the last": ({"indptr": [0, 2, 2, 4]}, 2),
    "rows before the first": ({"indptr": [-1, 2, 2, 3]}, 0),
    "bounds that overflow": ({"indptr": [-(1 << 63), (1 << 63) - 1, 2, 3]}, 0),
    "a row longer than all features": (
        {"indptr": [0, 7, 7, 7], "indices": [0] * 7, "values": [1.0] * 7},
        0,
    ),
    "a feature beyond the last": ({"indices": [0, 3, WIDTH]}, 2),
    "a feature before the first": ({"indices": [0, 3, -1]}, 2),
    "no number": ({"values": [1.0, float("nan"), 3.0]}, 0),
    "infinity": ({"values": [1.0, 2.0, -float("inf")]}, 2),
}


@pytest.mark.parametrize(("change", "row"), BAD.values(), ids=BAD.keys())
def test_numbers_out_of_range_are_damage_to_the_rows_that_have_them(tmp_path, change, row):
    layout = Layout.create(tmp_path / "c")
    types = {"indptr": np.int64, "indices": np.int32, "values": np.float32}
    arrays = VALID["sparse"] | change
    content = save({name: np.array(of, types[name]) for name, of in arrays.items()})
    files = [
        write_features(layout, "a", three_rows()),
        write_file(layout.segments / "b.safetensors", [content]),
        write_features(layout, "c", three_rows()),
    ]
    segments = [
        Segment(f.name, 3 * i, 3, 3, 8, "m1", NO_CODES, None, features=f)
        for i, f in enumerate(files)
    ]
    features = StoredFeatures(layout, segments, WIDTH)
    for rows in ([3 + row], [0, 3 + row, 8], [8, 3 + row, 1, 3 + row]):
        with pytest.raises(DamagedError, match=r"b\.safetensors: expected the features"):
            features.take(np.array(rows))
    sound = np.array([8, 0, 6])
    assert np.array_equal(features.take(sound).to_dense(), three_rows().to_dense()[[2, 0, 0]])


def test_dense_numbers_out_of_range_are_damage_to_their_rows(layout):
    values = np.ones((3, WIDTH), np.float32)
    values[1, 2] = np.nan
    file = opened(layout, save({"values": values}))
    assert np.array_equal(file.take(np.array([2, 0])), np.ones((2, WIDTH)))
    with pytest.raises(DamagedError, match="got NaN or infinity"):
        file.take(np.array([0, 1]))


def large(sparse):
    """Features of 4,000 rows, of about 20 blocks."""
    rng = np.random.default_rng(0)
    if not sparse:
        return rng.random((4000, 100)).astype(np.float32)
    indices = np.cumsum(rng.integers(1, 5, (4000, 50)), axis=1, dtype=np.int32) - 1
    values = rng.random(4000 * 50).astype(np.float32)
    return SparseRows(np.arange(4001) * 50, indices.ravel(), values, 200)


@pytest.mark.parametrize("sparse", [True, False])
def test_few_rows_cost_few_blocks_and_see_no_damage_elsewhere(layout, sparse, monkeypatch):
    features = large(sparse)
    record = write_features(layout, "large", features)
    path = layout.segments / record.name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    content[10 * BLOCK] ^= 1
    path.write_bytes(content)
    hashed = []

    def sha256(piece):
        hashed.append(len(piece))
        return hashlib.sha256(piece)

    monkeypatch.setattr(checked, "hashlib", type("Watched", (), {"sha256": staticmethod(sha256)}))
    file = FeatureFile(layout, record, *features.shape)
    rows = np.array([3, 0, 1])
    for _ in range(2):
        assert np.array_equal(dense_rows(file.take(rows)), dense_rows(features)[rows])
    assert sum(hashed) <= 4 * BLOCK < record.size / 3
    with pytest.raises(DamagedError, match=f"bytes .* to {record.size - 1}"):
        file.take(np.array([3, 3999]))
    with pytest.raises(DamagedError):
        file.take(np.arange(4000))


@given(
    sizes=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    width=st.integers(1, 6),
    sparse=st.booleans(),
    half=st.booleans(),
    seed=st.integers(0, 999),
)
def test_rows_come_back_as_they_were_written(tmp_path_factory, sizes, width, sparse, half, seed):
    """In the order asked, as often as asked; rows between segments may belong to no one."""
    rng = np.random.default_rng(seed)
    layout = Layout.create(tmp_path_factory.mktemp("f") / "c")
    dense = [rng.random((n, width)).astype(np.float32).round(1 if half else 9) for n in sizes]
    dense = [np.where(part > 0.4, part, 0).astype(np.float32) for part in dense]
    segments, first = [], 0
    for i, part in enumerate(dense):
        file = write_features(layout, f"s{i}", as_sparse(part) if sparse else part)
        segments.append(
            Segment(f"s{i}", first, len(part), len(part), 8, "m1", NO_CODES, None, features=file)
        )
        first += len(part) + 2
    rows = np.concatenate([np.arange(s.first_row, s.first_row + s.n_rows) for s in segments])
    asked = rng.integers(0, len(rows), rng.integers(0, 12)) if len(rows) else np.empty(0, int)
    taken = StoredFeatures(layout, segments, width).take(rows[asked])
    assert values_of(taken).dtype == np.float32
    assert np.array_equal(dense_rows(taken), np.concatenate(dense)[asked])


def test_every_number_of_16_bits_is_read_as_it_is(layout):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = (
        np.append(every[np.isfinite(every)], [0, 0, 0, 0]).reshape(-1, WIDTH).astype(np.float16)
    )
    record = write_features(layout, "halves", finite.astype(np.float32))
    found = FeatureFile(layout, record, len(finite), WIDTH).take(np.arange(len(finite)))
    assert found.dtype == np.float32
    assert found.tobytes() == finite.astype(np.float32).tobytes()  # -0.0 is not 0.0
    for bad in every[~np.isfinite(every)][::97]:
        values = np.zeros((3, WIDTH), np.float16)
        values[1, 2] = bad
        with pytest.raises(DamagedError, match="NaN or infinity"):
            opened(layout, save({"values": values})).take(np.arange(3))
