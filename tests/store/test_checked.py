"""A mapped file is checked block by block: what is read is sound, and no more is looked at."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.errors import DamagedError
from hashret.store.disk import checked
from hashret.store.disk.checked import CheckedFile
from hashret.store.disk.files import BLOCK, DIGEST, require_sound, write_file

SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 77]


def content_of(size):
    return np.random.default_rng(size).bytes(size)


def n_blocks_of(size):
    return -(-size // BLOCK)


def written(folder, size):
    """A path of a new file of `size` bytes, and its record."""
    path = folder / f"f{size}"
    return path, write_file(path, [content_of(size)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checked")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sound files, which no test changes: size -> path and record."""
    sound = tmp_path_factory.mktemp("sound")
    return {size: written(sound, size) for size in SIZES}


@given(
    size=st.sampled_from(SIZES),
    cuts=st.lists(st.integers(0, SIZES[-1]), max_size=9),
    views=st.booleans(),
)
def test_blocks_are_digested_whatever_the_chunks(folder, size, cuts, views):
    content = content_of(size)
    ends = sorted(min(cut, size) for cut in cuts)
    chunks = [content[a:b] for a, b in zip([0, *ends], [*ends, size], strict=True)]
    record = write_file(folder / "chunks", [memoryview(c) if views else c for c in chunks])
    assert (record.size, record.sha256) == (size, hashlib.sha256(content).hexdigest())
    blocks = [content[at : at + BLOCK] for at in range(0, size, BLOCK)]
    assert record.blocks == b"".join(hashlib.sha256(b).digest()[:DIGEST] for b in blocks)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("with_blocks", [True, False])
def test_a_sound_file_gives_its_bytes(files, size, with_blocks):
    path, record = files[size]
    file = CheckedFile(path, record if with_blocks else replace(record, blocks=b""))
    file.require(0, size)
    file.require_all()
    assert file.data.tobytes() == content_of(size)
    assert not file.data.flags.writeable
    file.close()
    file.close()


@given(data=st.data(), size=st.sampled_from(SIZES[1:]), bit=st.integers(0, 7))
def test_a_changed_byte_is_found_by_who_reads_its_block_and_by_no_other(folder, data, size, bit):
    path, record = written(folder, size)
    at = data.draw(st.integers(0, size - 1))
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(bytes([content_of(size)[at] ^ 1 << bit]))
    file = CheckedFile(path, record)
    hurt = at // BLOCK
    for block in range(n_blocks_of(size)):
        begin, end = block * BLOCK, min((block + 1) * BLOCK, size)
        if block != hurt:
            file.require(begin, end)
            continue
        whole = f"f{size}: expected SHA-256 .* of bytes {begin} to {end - 1}, got .*; restore"
        for _ in range(2):  # asked again, it is no sounder
            with pytest.raises(DamagedError, match=whole):
                file.require(begin, end)
            with pytest.raises(DamagedError):
                file.require_ranges(np.array([at]), np.array([at + 1]))
    with pytest.raises(DamagedError):
        file.require_all()
    unknown = CheckedFile(path, replace(record, blocks=b""))
    elsewhere = (hurt + 1) * BLOCK if (hurt + 1) * BLOCK < size else 0
    with pytest.raises(DamagedError, match="expected SHA-256"):
        unknown.require(elsewhere, elsewhere + 1)


@given(data=st.data(), size=st.sampled_from(SIZES), with_blocks=st.booleans())
def test_ranges_look_at_their_blocks_and_at_each_once(files, data, size, with_blocks):
    path, record = files[size]
    position = st.integers(0, size)
    pairs = data.draw(st.lists(st.tuples(position, position).map(sorted), max_size=8))
    file = CheckedFile(path, record if with_blocks else replace(record, blocks=b""))
    looked_at = []
    with pytest.MonkeyPatch.context() as patch:

        def sha256(piece):
            looked_at.append(len(piece))
            return hashlib.sha256(piece)

        patch.setattr(checked, "hashlib", type("Watched", (), {"sha256": staticmethod(sha256)}))
        starts, stops = np.array([*pairs, (0, 0)]).T
        file.require_ranges(starts, stops)
        file.require_ranges(starts, stops)
        for start, stop in pairs:
            file.require(start, stop)
    touched = {b for a, z in pairs if z > a for b in range(a // BLOCK, (z - 1) // BLOCK + 1)}
    if with_blocks:
        lengths = [min((block + 1) * BLOCK, size) - block * BLOCK for block in touched]
        assert sorted(looked_at) == sorted(lengths)
    else:
        assert looked_at == ([size] if touched else [])


@pytest.mark.parametrize("size", [0, BLOCK + 1])
def test_another_size_is_damage_before_anything_is_read(folder, size):
    path, record = written(folder, size)
    for content in {b"", content_of(size)[:-1], content_of(size) + b"x"} - {content_of(size)}:
        path.write_bytes(content)
        found = f"f{size}: expected {size} bytes, got {len(content)}; restore"
        for check in (CheckedFile, require_sound):
            with pytest.raises(DamagedError, match=found):
                check(path, record)
    path.unlink()
    for check in (CheckedFile, require_sound):
        with pytest.raises(DamagedError, match=f"expected a file of {size} bytes, got none"):
            check(path, record)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of a POSIX system")
def test_no_link_is_followed_and_no_pipe_waited_for(folder, files):
    path, record = files[BLOCK]
    (folder / "link").symlink_to(path)
    os.mkfifo(folder / "pipe")
    for other in ("link", "pipe"):
        with pytest.raises(DamagedError, match="expected a regular file"):
            CheckedFile(folder / other, record)


@pytest.mark.parametrize("n_bytes", [1, DIGEST, 4 * DIGEST, 2 * DIGEST - 1])
def test_digests_of_another_number_of_blocks_are_damage(files, n_bytes):
    path, record = files[BLOCK + 1]
    with pytest.raises(DamagedError, match="expected the digests of"):
        CheckedFile(path, replace(record, blocks=b"x" * n_bytes))


def test_an_empty_file_of_another_record_is_damage(files):
    path, record = files[0]
    with pytest.raises(DamagedError, match="SHA-256"):
        CheckedFile(path, replace(record, sha256="0" * 64)).require_all()


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (0, BLOCK + 2), (7, 6), (BLOCK + 2,) * 2])
def test_a_range_outside_is_a_mistake_of_the_caller(files, start, stop):
    file = CheckedFile(*files[BLOCK + 1])
    with pytest.raises(ValueError, match="range: expected bytes within 0 to 65537"):
        file.require(start, stop)
    with pytest.raises(ValueError, match="range: expected bytes within 0 to 65537"):
        file.require_ranges(np.array([0, start]), np.array([1, stop]))


def test_what_is_read_outlives_the_file_and_its_closing(folder):
    path, record = written(folder, BLOCK + 1)
    file = CheckedFile(path, record)
    view = file.data[1:]
    path.unlink()
    file.require(0, 1)
    file.close()
    assert view.tobytes() == content_of(BLOCK + 1)[1:]
    for use in (lambda: file.require(0, 1), file.require_all):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_threads_share_one(folder):
    size = 40 * BLOCK + 5
    path, record = written(folder, size)
    hurt = 17
    with path.open("r+b") as stream:
        stream.seek(hurt * BLOCK)
        stream.write(bytes([content_of(size)[hurt * BLOCK] ^ 1]))
    file = CheckedFile(path, record)

    def one(seed):
        """The blocks that this thread saw damaged."""
        found = set()
        for block in np.random.default_rng(seed).permutation(n_blocks_of(size)).tolist():
            try:
                file.require(block * BLOCK, block * BLOCK + 1)
            except DamagedError:
                found.add(block)
        return found

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [{hurt}] * 16
