"""`hashret denoise` and `Collection.denoise`, on small collections that were really learned."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hashret import Collection
from hashret.errors import CollectionError, InputError, PayloadError
from hashret.items import Item
from indexer import Indexer
from indexer.cli import main
from indexer.training.options import TrainingOptions
from tests.corpora import clustered_vectors, topic_items
from tests.training.recipes import change

N = 40


def picture(seed, size=(24, 20)):
    """Soft blobs of colour."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def noisy(clean, noise, seed=0):
    """8-bit pixels with noise, a share of the range."""
    added = np.random.default_rng(seed).normal(0, 255 * noise, clean.shape)
    return np.clip(np.rint(clean + added), 0, 255).astype(np.uint8)


def error(clean, found):
    return float(np.square(clean.astype(float) - found).mean())


@pytest.fixture(scope="module")
def of_images(tmp_path_factory):
    """A collection of small pictures, learned with few steps, and what was said of it."""
    root = tmp_path_factory.mktemp("images")
    (root / "files").mkdir()
    for seed in range(N):
        picture(seed).save(root / "files" / f"{seed}.png")
    with pytest.MonkeyPatch.context() as patch:
        change(patch, "image", "dense", least_steps=20)
        options = ["--to", str(root / "c"), "--preset", "dense"]
        made = CliRunner().invoke(main, ["index", str(root / "files"), *options])
    assert made.exit_code == 0, made.output
    assert "denoiser" in made.output  # the time that it took
    return root / "c"


def flat_vectors(n):
    """Vectors of 24 numbers and length 1, near a plane of 4 dimensions."""
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((4, 24))
    rows = rng.standard_normal((n, 4)) @ plane
    rows += 0.01 * rng.standard_normal(rows.shape)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def of_vectors(tmp_path_factory):
    root = tmp_path_factory.mktemp("vectors")
    vectors = flat_vectors(200)
    with pytest.MonkeyPatch.context() as patch, Indexer(root / "c", kind="vector") as indexer:
        change(patch, "vector", "dense", least_steps=20)
        items = [Item(str(i), row) for i, row in enumerate(vectors)]
        indexer.fit(items, TrainingOptions(n_bits=16, preset="dense"))
        indexer.add(items)
        indexer.commit()
    return root / "c"


def denoise(collection, *arguments):
    return CliRunner().invoke(main, ["denoise", str(collection), *map(str, arguments)])


@pytest.mark.parametrize("size", [(24, 20), (1, 1), (1, 37), (65, 3), (70, 50)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_a_picture_keeps_its_size_and_transparency(of_images, tmp_path, size, mode):
    given = noisy(np.asarray(picture(90, size)), 0.1)
    image = Image.fromarray(given).convert(mode)
    if "A" in mode:
        image.putalpha(77)
    image.save(tmp_path / "in.png")
    done = denoise(of_images, tmp_path / "in.png", "-o", tmp_path / "out.png", "--noise", "0.1")
    assert done.exit_code == 0, done.output
    assert f"{size[0]} x {size[1]} pixels, without noise of 0.1000 of the range" in done.output
    with Image.open(tmp_path / "out.png") as found:
        assert (found.mode, found.size) == (mode, size)
        if "A" in mode:
            assert found.getchannel("A").getextrema() == (77, 77)


def test_noise_is_estimated_said_and_mostly_gone(of_images, tmp_path):
    clean = np.asarray(picture(91, (90, 80)))
    given = noisy(clean, 0.15)
    Image.fromarray(given).save(tmp_path / "in.png")
    done = denoise(of_images, tmp_path / "in.png", "-o", tmp_path / "out.png")
    assert done.exit_code == 0, done.output
    said = float(done.output.split("noise of ")[1].split()[0])
    assert said == pytest.approx(0.15, rel=0.15)
    assert "estimated" in done.output
    with Image.open(tmp_path / "out.png") as found:
        pixels = np.asarray(found)
    assert error(clean, pixels) < error(clean, given) / 2
    with Collection.open(of_images) as collection:
        assert collection.noise_of(given) == pytest.approx(said, abs=1e-4)
        np.testing.assert_array_equal(collection.denoise(given), pixels)
        np.testing.assert_array_equal(collection.denoise(tmp_path / "in.png"), pixels)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4), (1, 1, 3)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
def test_an_array_keeps_its_shape_and_dtype(of_images, shape, dtype):
    pixels = np.random.default_rng(0).random(shape)
    white = {"uint8": 255, "uint16": 65535, "int32": 255}.get(dtype, 1)
    given = (pixels * white).astype(dtype)
    before = given.copy()
    with Collection.open(of_images) as collection:
        found = collection.denoise(given, 0.2)
        assert (found.shape, found.dtype) == (given.shape, given.dtype)
        np.testing.assert_array_equal(given, before)
        assert not np.array_equal(found, given)
        if len(shape) == 3 and shape[2] in (2, 4):
            np.testing.assert_array_equal(found[:, :, -1], given[:, :, -1])
        np.testing.assert_array_equal(collection.denoise(given, 0), given)


def test_an_image_is_the_same_in_every_depth(of_images):
    given = noisy(np.asarray(picture(92)), 0.1)
    with Collection.open(of_images) as collection:
        of_bytes = collection.denoise(given, 0.1).astype(float)
        of_floats = collection.denoise(given / 255.0, 0.1) * 255
        of_16 = collection.denoise(given.astype(np.uint16) * np.uint16(257), 0.1) / 257
        of_255 = collection.denoise(given.astype(np.float32), 0.1)
    for found in (of_floats, of_16, of_255):
        assert np.abs(found - of_bytes).max() <= 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4, 3), np.inf), "infinity"),
        (np.zeros((4, 4, 5)), "shape"),
        (np.zeros((2, 4, 4, 3)), "one image at a time"),
        (np.zeros((0, 4, 3)), "shape"),
        (np.zeros(4), "shape"),
        (np.zeros((4, 4), bool), "numbers"),
        (np.zeros((4, 4), complex), "numbers"),
        (np.array([["a"]]), "numbers"),
        (np.full((4, 4), 10**6), "other-scale|scale it"),
        (b"no image", "damaged"),
        (7, "expected a path"),
    ],
)
def test_what_is_no_image_is_refused(of_images, given, said):
    with Collection.open(of_images) as collection:
        for ask in (collection.denoise, collection.noise_of):
            with pytest.raises(PayloadError, match=said):
                ask(given)


def test_noise_that_cannot_be_is_refused(of_images):
    image = np.zeros((4, 4), np.uint8)
    with Collection.open(of_images) as collection:
        with pytest.raises(InputError, match=r"25 of 255 is 0\.1"):
            collection.denoise(image, 25)
        for wrong in (-0.1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="noise"):
                collection.denoise(image, wrong)
        with pytest.raises(TypeError, match="noise"):
            collection.denoise(image, "0.1")


def test_files_of_arrays_and_other_formats(of_images, tmp_path):
    given = noisy(np.asarray(picture(93)), 0.1)
    np.save(tmp_path / "in.npy", given)
    with Collection.open(of_images) as collection:
        expected = collection.denoise(given)
    for name in ("out.npy", "out.png", "out.tiff", "out.webp", "out.jpg"):
        done = denoise(of_images, tmp_path / "in.npy", "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
        if name.endswith("npy"):
            found = np.load(tmp_path / name)
        else:
            with Image.open(tmp_path / name) as image:
                found = np.asarray(image)
        assert np.abs(found.astype(int) - expected).max() <= (20 if name == "out.jpg" else 0)
        if not name.endswith("npy"):  # an earlier output is replaced
            assert denoise(of_images, tmp_path / "in.npy", "-o", tmp_path / name).exit_code == 0


@pytest.mark.parametrize(
    ("file", "output", "said"),
    [
        ("in.png", "in.png", "the file that is denoised"),
        ("in.png", "other.png", "which would be lost"),
        ("in.png", "out.gif", "the suffix is the format"),
        ("in.png", "out", "the suffix is the format"),
        ("alpha.png", "out.jpg", "name a .png or .tiff"),
        ("floats.npy", "out.png", "name a .npy file"),
        ("missing.png", "out.png", "no such file"),
        ("folder", "out.png", "a folder"),
        ("text.txt", "out.png", "damaged"),
        ("pickled.npy", "out.npy", "expected an array in .npy"),
        ("cut.npy", "out.npy", "expected an array in .npy"),
        ("nan.npy", "out.npy", "NaN"),
    ],
)
def test_files_that_cannot_be(of_images, tmp_path, file, output, said):
    picture(94).save(tmp_path / "in.png")
    picture(95).save(tmp_path / "other.png")
    picture(94).convert("RGBA").save(tmp_path / "alpha.png")
    np.save(tmp_path / "floats.npy", np.zeros((4, 4, 3)))
    np.save(tmp_path / "nan.npy", np.full((4, 4, 3), np.nan))
    np.save(tmp_path / "pickled.npy", np.array([{}], object))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "floats.npy").read_bytes()[:-9])
    (tmp_path / "text.txt").write_text("no picture")
    (tmp_path / "folder").mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = denoise(of_images, tmp_path / file, "-o", tmp_path / output)
    assert done.exit_code == 1, done.output
    assert said in done.output
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}


def test_a_place_within_the_collection_is_refused(of_images, tmp_path):
    picture(94).save(tmp_path / "in.png")
    done = denoise(of_images, tmp_path / "in.png", "-o", of_images / "segments" / "out.png")
    assert done.exit_code == 1
    assert "a place in the collection" in done.output


def test_colours_keep_their_profile_and_pictures_their_turn(of_images, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    picture(94).save(tmp_path / "in.jpg", exif=exif, icc_profile=b"a profile")
    for name in ("out.png", "out.tiff", "out.webp", "out.jpg"):
        done = denoise(of_images, tmp_path / "in.jpg", "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
        with Image.open(tmp_path / name) as found:
            assert found.size == (20, 24)
            assert found.info["icc_profile"] == b"a profile"
            assert found.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "I;16", "I", "F"])
def test_pictures_of_other_modes(of_images, tmp_path, mode):
    image = picture(94)
    if mode in ("I", "F", "I;16"):
        grey = np.asarray(image.convert("L"))
        dtype = {"I": np.int32, "F": np.float32, "I;16": np.uint16}[mode]
        image = Image.fromarray(grey.astype(dtype))
    image.convert(mode).save(tmp_path / "in.tiff")
    done = denoise(of_images, tmp_path / "in.tiff", "-o", tmp_path / "out.tiff", "--noise", "0.1")
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "out.tiff") as found:
        assert found.mode == {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
        assert found.size == (24, 20)


def test_vectors(of_vectors, tmp_path):
    clean = flat_vectors(50)
    given = clean + (0.05 * np.random.default_rng(0).standard_normal(clean.shape)).astype("f4")
    np.save(tmp_path / "in.npy", given)
    done = denoise(of_vectors, tmp_path / "in.npy", "-o", tmp_path / "out.npy")
    assert done.exit_code == 0, done.output
    assert "50 vectors, without noise of 0.0" in done.output
    found = np.load(tmp_path / "out.npy")
    assert (found.shape, found.dtype) == (given.shape, given.dtype)
    assert error(clean, found) < error(clean, given) / 3
    with Collection.open(of_vectors) as collection:
        np.testing.assert_array_equal(collection.denoise(given), found)
        assert collection.noise_of(given) == pytest.approx(0.05, rel=0.2)
        for row in (given[0], given[0].astype(float), (1000 * given[0]).astype(int)):
            one = collection.denoise(row, 0.05)
            assert (one.shape, one.dtype) == (row.shape, row.dtype)
        # its length is a vector's own affair: only directions are compared
        longer = collection.denoise(given[0] * 8, 0.4)
        np.testing.assert_allclose(longer, 8 * collection.denoise(given[0], 0.05), rtol=1e-3)


@pytest.mark.parametrize(
    "given",
    [np.zeros((2, 23)), np.full((2, 24), np.nan), np.zeros((2, 2, 24)), np.array([]), "words"],
)
def test_what_are_no_vectors_is_refused(of_vectors, given):
    with Collection.open(of_vectors) as collection, pytest.raises(PayloadError):
        collection.denoise(given)


def test_vectors_of_another_kind_are_at_most_all_noise(of_vectors):
    given = np.random.default_rng(1).standard_normal((30, 24)).astype("f4")
    with Collection.open(of_vectors) as collection:
        noise = collection.noise_of(given)
        assert 0.7 < noise <= np.sqrt(np.square(given).mean()) * 1.0001
        assert np.isfinite(collection.denoise(given)).all()


def test_collections_without_a_denoiser_say_so(of_vectors, tmp_path):
    bare = tmp_path / "bare"
    vectors = [Item(str(i), row) for i, row in enumerate(clustered_vectors(40, 8))]
    texts = tmp_path / "texts"
    with pytest.MonkeyPatch.context() as patch:
        change(patch, "vector", "dense", least_steps=5)
        change(patch, "text", "dense", least_steps=5)
        for place, kind, items, decoder in (
            (bare, "vector", vectors, False),
            (texts, "text", topic_items(40), True),
        ):
            with Indexer(place, kind=kind) as indexer:
                options = TrainingOptions(n_bits=8, preset="dense", decoder=decoder)
                indexer.fit(items, options)
                indexer.add(items)
                indexer.commit()
    np.save(tmp_path / "in.npy", np.zeros(8))
    for place, said in ((bare, "hashret retrain"), (texts, "hashret decode")):
        done = denoise(place, tmp_path / "in.npy", "-o", tmp_path / "out.npy")
        assert done.exit_code == 1
        assert said in done.output
        with Collection.open(place) as collection, pytest.raises(CollectionError, match=said):
            collection.denoise(np.zeros(8))
        assert not (tmp_path / "out.npy").exists()


def test_no_torch_is_loaded(of_images, tmp_path):
    picture(94).save(tmp_path / "in.png")
    script = (
        "import sys\n"
        "from indexer.cli import main\n"
        f"sys.argv[1:] = {['denoise', str(of_images), str(tmp_path / 'in.png'), '-o', str(tmp_path / 'out.png')]!r}\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'faiss'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.png").exists()
