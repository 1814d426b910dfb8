import datetime as dt
import io
import json
import pickle
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hashret.errors import InputError
from hashret.items import Item
from indexer import corpus
from indexer.corpus import Reading, Skipped
from indexer.corpus.arrays import stored

VECTORS = np.arange(12, dtype=np.float64).reshape(4, 3) / 7


def read(path: Path, kind: str = "vector", ids: Path | None = None) -> list[Item | Skipped]:
    return list(corpus.read([path], kind, Reading(ids=(ids,) if ids else ())))


def save(path: Path, array: np.ndarray = VECTORS) -> Path:
    np.save(path, array)
    return path


def npz(path: Path, **members: np.ndarray) -> Path:
    np.savez_compressed(path, **members)
    return path


@given(
    hnp.arrays(
        st.sampled_from(["<f2", "<f4", ">f4", "<f8", ">f8", "i1", "u2", ">i4", "i8", "u8"]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5),
    ),
    st.booleans(),
    st.booleans(),
)
def test_every_row_is_a_vector_of_float32_or_of_its_integers_or_is_refused(
    tmp_path_factory, array, fortran, in_npz
):
    folder = tmp_path_factory.mktemp("v")
    array = np.asfortranarray(array) if fortran else array
    path = npz(folder / "a.npz", any=array) if in_npz else save(folder / "a.npy", array)
    expected = array
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            expected = array.astype(np.float32)
    found = read(path)
    assert [x.id for x in found] == [str(i) for i in range(len(array))]
    for x, row in zip(found, expected, strict=True):
        if np.isfinite(row).all():
            assert x.payload.dtype == expected.dtype.newbyteorder("=")
            np.testing.assert_array_equal(x.payload, row)
        else:
            assert x.error_class == "not-finite"


def test_rows_larger_than_a_block_and_blocks_of_many_rows(tmp_path, monkeypatch):
    path = save(tmp_path / "a.npy", np.arange(700, dtype=np.float32).reshape(100, 7))
    for size in (1, 28, 29, 1000, 1 << 20):
        monkeypatch.setattr(stored, "_BLOCK_BYTES", size)
        assert [x.payload.tolist() for x in read(path)] == np.load(path).tolist()


def test_ids_from_a_file_beside_or_named_or_inside(tmp_path):
    path = save(tmp_path / "a.npy")
    names = ["one", "zwei", "三", "4"]
    (tmp_path / "list").write_text("\n".join(names), encoding="utf-8")
    assert [x.id for x in read(path, ids=tmp_path / "list")] == names
    for sidecar in ("a.ids.txt", "a.ids"):
        (tmp_path / sidecar).write_bytes("\r\n".join(names).encode("utf-8-sig") + b"\r\n")
        assert [x.id for x in read(path)] == names
        (tmp_path / sidecar).unlink()
    for array in (np.array(names), np.array([n.encode() for n in names]), np.arange(4)):
        expected = [str(i) for i in array] if array.dtype.kind == "i" else names
        assert [x.id for x in read(path, ids=save(tmp_path / "ids.npy", array))] == expected
        inside = npz(tmp_path / "b.npz", vectors=VECTORS, ids=array)
        assert [x.id for x in read(inside)] == expected
    assert [x.id for x in read(inside, ids=tmp_path / "list")] == names


def test_a_bad_id_costs_its_row_only(tmp_path):
    path = save(tmp_path / "a.npy")
    (tmp_path / "a.ids").write_text("one\n\n" + "x" * 5000 + "\nfour")
    found = read(path)
    assert [x.id for x in found] == ["one", "1", "2", "four"]
    assert [x.error_class for x in found[1:3]] == ["bad-id", "bad-id"]


@pytest.mark.parametrize(
    "data",
    [b"", b"one\ntwo\nthree", b"1\n2\n3\n4\n5", b"1\n2\n3\n\xe9", b"\xff\xfe1\0\0\xd8"],
)
def test_ids_that_do_not_match_are_an_error_before_the_first_row(tmp_path, data):
    (tmp_path / "ids").write_bytes(data)
    with pytest.raises(InputError, match="ids"):
        read(save(tmp_path / "a.npy"), ids=tmp_path / "ids")


def test_ids_of_a_wrong_kind_or_for_several_sources(tmp_path):
    path = save(tmp_path / "a.npy")
    for array in (np.arange(3), np.zeros(4), np.zeros((4, 1), int)):
        with pytest.raises(InputError, match="expected 4 ids"):
            read(path, ids=save(tmp_path / "ids.npy", array))
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError):
            read(path, ids=missing)
    for paths, kind, n in (([path, path, path], "vector", 2), ([tmp_path], "image", 1)):
        with pytest.raises(InputError, match="ids"):
            corpus.read(paths, kind, Reading(ids=(tmp_path / "ids",) * n))


def test_images_with_their_columns(tmp_path):
    images = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    path = npz(
        tmp_path / "a.npz",
        images=images,
        labels=np.array([7, 8, 9], np.uint8),
        test=np.array([True, False, True]),
        names=np.array(["a", "b\ud800", "ü"]),
        raw=np.array([b"a", b"\xff", b"c"]),
        weights=np.array([0.5, np.nan, np.inf]),
        days=np.array(["2024-01-01", "NaT", "2024-01-03"], "M8[D]"),
        classes=np.array(["never", "read"]),
    )
    found = read(path, "image")
    assert corpus.infer_kind([path]) == "image"
    assert [x.id for x in found] == ["0", "1", "2"]
    assert all(np.array_equal(x.payload, image) for x, image in zip(found, images, strict=True))
    assert all(x.payload.dtype == np.uint8 for x in found)
    assert [dict(x.metadata) for x in found] == [
        {"labels": 7, "test": True, "names": "a", "raw": "a", "weights": 0.5}
        | {"days": "2024-01-01"},
        {"labels": 8, "test": False, "names": "b?", "raw": "\ufffd", "weights": None}
        | {"days": "NaT"},
        {"labels": 9, "test": True, "names": "ü", "raw": "c", "weights": None}
        | {"days": "2024-01-03"},
    ]
    json.dumps([dict(x.metadata) for x in found], allow_nan=False)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 1), (2, 3, 4, 3), (2, 3, 4, 4)])
@pytest.mark.parametrize("dtype", ["u1", ">u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_shapes_of_images(tmp_path, shape, dtype, order):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order=order)
    payloads = [x.payload for x in read(save(tmp_path / "a.npy", array), "image")]
    assert np.array_equal(payloads, array)
    assert all(x.dtype.isnative and x.flags.c_contiguous for x in payloads)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(4),
        np.zeros((2, 0)),
        np.zeros((2, 2, 2)),
        np.zeros((2, 2), complex),
        np.zeros((2, 2), bool),
        np.full((2, 2), "a"),
        np.zeros(2, [("a", "f4"), ("b", "f4")]),
        np.float64(1),
    ],
)
def test_an_array_that_is_no_vectors(tmp_path, array):
    with pytest.raises(InputError, match=r"expected one array \(n, width\)"):
        read(save(tmp_path / "a.npy", array))


def test_which_of_several_arrays_is_meant(tmp_path):
    other = np.zeros((4, 2))
    for members in (
        {"embeddings": VECTORS, "other": other},
        {"vectors": VECTORS, "other": other},
        {"x": VECTORS, "counts": np.zeros((4, 2), int)},
        {"x": VECTORS, "labels": np.zeros(4)},
    ):
        found = read(npz(tmp_path / "a.npz", **members))
        assert [x.payload.size for x in found] == [3] * 4
    for members in ({"x": VECTORS, "y": other}, {}, {"x": np.zeros(3)}):
        with pytest.raises(InputError, match="name the array with the items 'embeddings'"):
            read(npz(tmp_path / "a.npz", **members))


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["vector", "image"])
def test_no_array_runs_code(tmp_path, kind):
    bomb = np.array([[Bomb(tmp_path / "executed")]], dtype=object)
    np.save(tmp_path / "a.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "b.npz", vectors=VECTORS, labels=bomb, allow_pickle=True)
    (tmp_path / "c.npy").write_bytes(pickle.dumps(Bomb(tmp_path / "executed")))
    for name in ("a.npy", "b.npz", "c.npy"):
        with pytest.raises(InputError, match="expected NumPy arrays without objects"):
            read(tmp_path / name, kind)
    assert not (tmp_path / "executed").exists()


def header(text: str, version: bytes = b"\1\0") -> bytes:
    size = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + text.encode("latin-1")


HOSTILE_HEADERS = [
    b"",
    b"\x93NUMPY",
    b"\x93NUMPY\1\0\xff\xff",
    header("{}"),
    header("(" * 9000),
    header("[" * 30_000),
    header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, -3)}\n"),
    header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 99999999999)}\n"),
    header("{'descr': '<f8', 'fortran_order': True, 'shape': (99999999999, 3)}\n"),
    header("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2)}\n"),
    header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (2, 2)}\n"),
    header("{'descr': '<f8', 'fortran_order': 1, 'shape': (2, 2)}\n"),
    header("{'descr': '<f8', 'fortran_order': False, 'shape': 'x'}\n"),
    header("__import__('os').getcwd()"),
    header("'open"),
    b"\x93NUMPY\2\0\xff\0\0\0{'descr'",
    header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2)}\n", b"\x09\0"),
    b"PK\3\4" + bytes(100),
]


@pytest.mark.parametrize("data", HOSTILE_HEADERS)
def test_a_hostile_header_is_an_error_and_takes_no_memory(tmp_path, data):
    (tmp_path / "a.npy").write_bytes(data)
    (tmp_path / "b.npz").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("vectors.npy", data)
    tracemalloc.start()
    for name in ("a.npy", "b.npz", "c.npz"):
        with pytest.raises(InputError):
            read(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@given(
    hnp.arrays(
        st.sampled_from(["<f4", ">f8", "u2"]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=4)
    ),
    st.sampled_from([(1, 0), (2, 0), (3, 0)]),
)
def test_every_version_of_the_format_is_read(tmp_path_factory, array, version):
    path = tmp_path_factory.mktemp("v") / "a.npy"
    with path.open("wb") as stream:
        np.lib.format.write_array(stream, array, version=version)
    assert len(read(path)) == len(array)


def test_a_header_of_a_later_version_is_not_read_into_memory(tmp_path):
    for version, says in ((b"\3\0", "its header has"), (b"\4\0", r"version is \(4, 0\)")):
        (tmp_path / "a.npy").write_bytes(b"\x93NUMPY" + version + b"\xff" * 4)
        with pytest.raises(InputError, match=says):
            read(tmp_path / "a.npy")


def test_one_row_is_one_vector(tmp_path):
    for array in (VECTORS[0], VECTORS[:1]):
        assert np.array_equal(stored.read_vector(save(tmp_path / "a.npy", array)), VECTORS[0])
    for array in (VECTORS, VECTORS[:, :1], VECTORS[:0], VECTORS[None, :1]):
        with pytest.raises(InputError, match="expected one vector"):
            stored.read_vector(save(tmp_path / "a.npy", array))


def shards(folder: Path, sizes: list[int]) -> list[Path]:
    paths = [folder / f"emb_{i}.npy" for i in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        save(path, np.full((size, 3), float(size)))
    return paths


@given(st.lists(st.integers(0, 4), min_size=2, max_size=4))
def test_rows_of_several_arrays_have_ids_that_no_other_array_changes(tmp_path_factory, sizes):
    paths = shards(tmp_path_factory.mktemp("v"), sizes)
    expected = [f"{path.name}:{i}" for path, n in zip(paths, sizes, strict=True) for i in range(n)]
    assert [x.id for x in corpus.read(paths, "vector")] == expected
    assert {x.id for x in corpus.read(paths[::-1], "vector")} == set(expected)
    assert [x.id for x in corpus.read(paths[:1], "vector")] == [str(i) for i in range(sizes[0])]
    named = Reading(id_prefix="{name}:")
    assert [x.id for x in corpus.read(paths, "vector", named)] == expected
    assert [x.id for x in corpus.read(paths[:1], "vector", named)] == expected[: sizes[0]]


def test_arrays_of_one_name_go_by_their_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        Path(folder).mkdir()
        save(Path(folder) / "v.npy", VECTORS[:1])
    paths = [Path("a/v.npy"), Path("b/v.npy")]
    assert [x.id for x in corpus.read(paths, "vector")] == ["a/v.npy:0", "b/v.npy:0"]
    (Path("b/v.ids")).write_text("mine")
    assert [x.id for x in corpus.read(paths, "vector")] == ["a/v.npy:0", "mine"]


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n \n\n"])
def test_one_file_of_ids_for_all_arrays_or_one_for_each(tmp_path, end):
    paths = shards(tmp_path, [2, 3])
    names = list("abcde")
    for name, part in (("all", names), ("first", names[:2]), ("second", names[2:])):
        (tmp_path / name).write_text("\n".join(part) + end)
    for given_ids in (("all",), ("first", "second")):
        how = Reading(ids=tuple(tmp_path / name for name in given_ids))
        found = list(corpus.read(paths, "vector", how))
        assert [(x.id, x.payload[0]) for x in found] == list(
            zip(names, [2, 2, 3, 3, 3], strict=True)
        )
    with pytest.raises(InputError, match="expected 5 ids, one a line, got 2"):
        list(corpus.read(paths, "vector", Reading(ids=(tmp_path / "first",))))


def test_a_damaged_array_keeps_the_ids_of_the_next(tmp_path):
    paths = shards(tmp_path, [3, 2])
    paths[0].write_bytes(paths[0].read_bytes()[:-30])
    (tmp_path / "ids").write_text("a\nb\nc\nd\ne\n")
    found = list(corpus.read(paths, "vector", Reading(ids=(tmp_path / "ids",))))
    assert [x.id for x in found if isinstance(x, Item)] == ["a", "d", "e"]


@given(st.data())
def test_a_mutated_file_gives_rows_or_says_what_is_wrong(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("v")
    name = data.draw(st.sampled_from(["a.npy", "a.npz"]))
    path = save(folder / name) if name == "a.npy" else npz(folder / name, v=VECTORS, ids=range(4))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(InputError):
        assert all(isinstance(x, Item | Skipped) for x in read(path))


def test_a_file_that_ends_early_gives_the_rows_it_has(tmp_path):
    path = save(tmp_path / "a.npy")
    path.write_bytes(path.read_bytes()[:-30])
    found = read(path)
    assert [x.id for x in found] == ["0", "1", "2"]
    assert [x.payload.size for x in found[:2]] == [3, 3]
    assert found[2].error_class == "damaged-array"
    assert "rows 2 to 3" in found[2].reason


def test_an_archive_that_is_much_larger_than_it_looks(tmp_path):
    claimed = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        claimed, {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 16)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("vectors.npy", claimed.getvalue() + bytes(64 << 20))
    tracemalloc.start()
    assert sum(1 for _ in zip(range(10), corpus.read([tmp_path / "a.npz"], "vector"))) == 10  # noqa: B905
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_times_are_metadata_too(tmp_path):
    days = np.array([dt.datetime(2024, 1, 1, 12), "NaT"] * 2, "M8[s]")
    found = read(npz(tmp_path / "a.npz", v=VECTORS, when=days))
    assert [x.metadata["when"] for x in found][:2] == ["2024-01-01T12:00:00", "NaT"]
