"""Pictures however they are given: a path is only what is meant as one, and limits hold for all."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hashret import Collection, Item
from hashret.errors import PayloadError
from hashret.features import pictures
from hashret.features.image import ImageFeaturizer
from indexer import Indexer, TrainingOptions
from indexer.ingest.prepare import Preparer
from tests.features.seeing import SPEC, seen

PIXELS = np.random.default_rng(5).integers(0, 256, (8, 8, 3), np.uint8)


class Upload(io.BytesIO):
    """A file object of a web framework, with the name that the client gave."""

    name = filename = "/etc/passwd"


class Named(os.PathLike):
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


CONTENT = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "BytesIO": io.BytesIO,
    "buffered": lambda data: io.BufferedReader(io.BytesIO(data)),
    "upload": Upload,
}


def png(pixels=PIXELS):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("pictures") / "private.png"
    file.write_bytes(png())
    return file


@pytest.mark.parametrize("given_as", CONTENT)
@given(spelling=st.sampled_from(["{}", "file://{}", "{}\0", " {}", "{}\n", "./{}"]))
def test_content_is_never_the_name_of_a_file(path, given_as, spelling):
    told = []
    for name in (str(path), str(path.with_name("none.png"))):
        content = CONTENT[given_as](spelling.format(name).encode())
        with pytest.raises(PayloadError) as raised:
            ImageFeaturizer.prepare(content, SPEC)
        told.append(str(raised.value))
    assert told[0] == told[1]  # says nothing of whether the file is there
    assert "private" not in told[0]


@pytest.mark.parametrize("given_as", CONTENT)
def test_content_is_the_picture_that_it_holds(path, given_as):
    np.testing.assert_array_equal(seen(CONTENT[given_as](path.read_bytes())), seen(path))


@pytest.mark.parametrize("named", [str, Path, Named, lambda p: Named(os.fsencode(p))])
def test_str_and_pathlike_are_paths(path, named):
    np.testing.assert_array_equal(seen(named(str(path))), PIXELS)


def test_a_file_object_is_read_from_its_beginning_each_time(path):
    with path.open("rb") as stream:
        stream.read()
        for _ in range(2):
            np.testing.assert_array_equal(seen(stream), PIXELS)
    with os.fdopen(
        os.open(path, os.O_RDONLY), "rb", buffering=0
    ) as raw:  # may read less than asked
        np.testing.assert_array_equal(seen(raw), PIXELS)


class Once(io.RawIOBase):
    """A stream that can't go back, as of a connection."""

    def __init__(self, data):
        self._rest = data

    def readable(self):
        return True

    def readinto(self, buffer):
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def test_what_is_read_once_can_ask_but_not_be_indexed(path):
    np.testing.assert_array_equal(seen(Once(path.read_bytes())), PIXELS)
    with pytest.raises(PayloadError, match="read twice, got an object of type Once"):
        pictures.digest(Once(path.read_bytes()), hashlib.sha256())


class Awaited:
    async def read(self, size=-1):
        return b""


class Broken:
    def read(self, size=-1):
        raise ConnectionResetError("gone")


def closed():
    stream = io.BytesIO(png())
    stream.close()
    return stream


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: io.StringIO("picture.png"), "expected bytes from .*StringIO, got str"),
        (Awaited, "expected bytes from .*Awaited, got coroutine"),
        (Broken, "Broken: ConnectionResetError: gone"),
        (closed, "BytesIO: ValueError"),
        (lambda: 5, "expected a path, bytes, .* got int"),
        (lambda: None, "got NoneType"),
        (lambda: Path("no") / "such.png", "expected the path of a regular file, got 'no"),
        (lambda: os.curdir, "expected the path of a regular file, got '.'"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(make, words):
    with pytest.raises(PayloadError, match=words):
        ImageFeaturizer.prepare(make(), SPEC)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    program = (
        "import sys\nfrom hashret.features.image import ImageFeaturizer\n"
        "from hashret.specs import ImageSpec\n"
        "ImageFeaturizer.prepare(sys.argv[1], ImageSpec())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "pipe.png")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "PayloadError: image: expected the path of a regular file" in done.stderr


@pytest.mark.parametrize("given_as", [*CONTENT, "path", "Pillow"])
def test_limits_hold_however_a_picture_is_given(path, given_as, monkeypatch):
    wrap = CONTENT | {
        "path": lambda data: path,
        "Pillow": lambda data: Image.open(io.BytesIO(data)),
    }
    monkeypatch.setattr(pictures, "MAX_PIXELS", 63)
    with pytest.raises(PayloadError, match=r"at most 63 pixels .*got 8 x 8") as raised:
        ImageFeaturizer.prepare(wrap[given_as](png()), SPEC)
    assert raised.value.error_class == "too-many-pixels"
    if given_as == "Pillow":
        return
    monkeypatch.setattr(pictures, "MAX_BYTES", 40)
    with pytest.raises(PayloadError, match="at most 40 bytes") as raised:
        ImageFeaturizer.prepare(wrap[given_as](png()), SPEC)
    assert raised.value.error_class == "too-large"


def test_the_callers_image_stays_as_it_is_and_only_of_the_formats_that_are_read():
    stream = io.BytesIO()
    Image.fromarray(np.kron(PIXELS, np.ones((32, 32, 1), np.uint8))).save(stream, "JPEG")
    image = Image.open(stream)
    ImageFeaturizer.prepare(image, SPEC)
    assert image.size == (256, 256)
    np.testing.assert_array_equal(np.asarray(image).shape, (256, 256, 3))
    bitmap = io.BytesIO()
    Image.fromarray(PIXELS).save(bitmap, "PPM")
    with pytest.raises(PayloadError, match="opened as PPM; convert it first"):
        ImageFeaturizer.prepare(Image.open(bitmap), SPEC)
    converted = Image.open(bitmap).convert("RGB")
    np.testing.assert_array_equal(seen(converted), PIXELS)


def test_bytes_go_to_the_workers_as_files_do(path):
    kinds = [path, path.read_bytes(), io.BytesIO(path.read_bytes()), PIXELS, Image.open(path)]
    payloads = [*kinds, str(path).encode(), closed(), *kinds]
    preparer = Preparer("image", 1)
    assert len([one for one in payloads if preparer._is_file(one)]) == 8
    try:
        results = preparer.prepare(payloads, SPEC)
    finally:
        preparer.close()
    for given_as, result in zip(payloads, results, strict=True):
        if any(given_as is one for one in kinds):
            np.testing.assert_array_equal(result[2], PIXELS * 256.0)
    assert results[5].error_class == "bad-image"
    assert "closed" in str(results[6])


def test_a_collection_is_made_and_asked_with_contents(tmp_path):
    rng = np.random.default_rng(0)
    contents = [png(one) for one in rng.integers(0, 256, (24, 8, 8, 3), np.uint8)]
    bomb = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(bomb, "PNG")
    items = [Item(f"p{i}", content) for i, content in enumerate(contents)]
    bad = [Item("bomb", bomb), Item("name", b"p1.png"), Item("number", 7), Item("once", Once(b""))]
    with Indexer(tmp_path / "c", "image", workers=1) as indexer:
        indexer.fit(items, TrainingOptions(n_bits=16, seed=0, preset="dense", epochs=1))
        reasons = {}
        indexer.tally.on_skipped = lambda one: reasons.setdefault(one.id, one.error_class)
        tally = indexer.add([*items, *bad])
        indexer.commit()
        assert (tally.added, tally.n_skipped) == (24, 4)
        assert reasons["bomb"] == "too-many-pixels"
        assert reasons["name"] == "bad-image"
        (tmp_path / "7.png").write_bytes(contents[7])
        again = indexer.add([Item("p7", tmp_path / "7.png")])  # the same bytes by their path
        assert again.unchanged == 1
    with Collection.open(tmp_path / "c") as collection:
        by_path = collection.query(tmp_path / "7.png", k=3)
        for make in CONTENT.values():
            assert collection.query(make(contents[7]), k=3) == by_path
            assert collection.query([make(contents[7])], k=3) == [by_path]
        assert collection.query(Image.open(tmp_path / "7.png"), k=3) == by_path
        for wrong in (5, None):
            with pytest.raises(PayloadError, match="expected a path, bytes"):
                collection.query(wrong)
