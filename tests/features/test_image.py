"""Image files as they come: formats, rotation, depth, transparency, damage."""

import io

import numpy as np
import pytest
from PIL import Image

from hashret.errors import PayloadError
from hashret.features import pictures as module
from hashret.features.image import ImageFeaturizer
from hashret.specs import ImageSpec

SPEC = ImageSpec(height=8, width=8, channels=3)


def halves(size=(16, 16)):
    """Left half red, right half blue."""
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (size[0] // 2, 0, *size))
    return picture


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "tiff", "bmp"])
def test_every_format_gives_the_same_picture(tmp_path, suffix):
    pixels = ImageFeaturizer.prepare(saved(tmp_path / f"a.{suffix}", halves()), SPEC)
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels[:, 0].astype(int) - [255, 0, 0]).max() < 40
    assert np.abs(pixels[:, -1].astype(int) - [0, 0, 255]).max() < 40


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    pixels = ImageFeaturizer.prepare(saved(tmp_path / "a.png", halves(), exif=exif), SPEC).astype(
        int
    )
    assert (pixels[0, :, 0] > 200).all()
    assert (pixels[-1, :, 2] > 200).all()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    path = saved(tmp_path / "a.png", Image.fromarray(ramp))
    grey = ImageSpec(height=8, width=8, channels=1)
    np.testing.assert_array_equal(ImageFeaturizer.prepare(path, grey)[:, :, 0], ramp >> 8)
    np.testing.assert_array_equal(ImageFeaturizer.prepare(ramp, grey)[:, :, 0], ramp >> 8)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_byte_order_of_a_file_or_an_array_changes_nothing(tmp_path, order):
    pixels = np.random.default_rng(0).integers(20_000, 30_000, (8, 8)).astype(f"{order}u2")
    grey = ImageSpec(height=8, width=8, channels=1)
    np.testing.assert_array_equal(ImageFeaturizer.prepare(pixels, grey)[:, :, 0], pixels >> 8)
    path = tmp_path / "a.tiff"
    mode = "I;16B" if order == ">" else "I;16"
    saved(path, Image.frombytes(mode, (8, 8), pixels.tobytes()))
    with Image.open(path) as read:
        assert read.mode == mode
    np.testing.assert_array_equal(ImageFeaturizer.prepare(path, grey)[:, :, 0], pixels >> 8)


@pytest.mark.parametrize("dtype", ["i1", "<i2", ">i2", "i4", ">u4", "u4", "i8", ">i8", "u8"])
def test_bytes_in_wider_integers_are_those_bytes(dtype):
    pixels = np.array([[101, 100], [100, 7]], dtype)
    grey = ImageSpec(height=2, width=2, channels=1)
    np.testing.assert_array_equal(ImageFeaturizer.prepare(pixels, grey)[:, :, 0], pixels)
    if pixels.dtype.kind == "i":
        with pytest.raises(PayloadError, match=r"expected 0 to 255 in an array of int.*got -101"):
            ImageFeaturizer.prepare(-pixels, grey)
    if pixels.dtype.itemsize > 1:
        with pytest.raises(PayloadError, match="got 28 to 404; convert it to"):
            ImageFeaturizer.prepare(pixels * 4, grey)


def test_floats_and_files_of_no_known_depth_are_stretched(tmp_path):
    grey = ImageSpec(height=1, width=3, channels=1)
    for array, expected in [
        (np.array([[0.0, 0.2, 0.8]], ">f4"), [0, 51, 204]),
        (np.array([[-3.0, 0.0, 3.0]]), [0, 128, 255]),
    ]:
        assert ImageFeaturizer.prepare(array, grey).ravel().tolist() == expected
    deep = Image.fromarray(np.array([[-300, 0, 300]], np.int32))
    path = saved(tmp_path / "a.tiff", deep)
    assert ImageFeaturizer.prepare(path, grey).ravel().tolist() == [0, 128, 255]


def test_transparency_is_flattened_on_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (ImageFeaturizer.prepare(saved(tmp_path / "a.png", clear), SPEC) == 255).all()
    grey = Image.new("LA", (8, 8), (0, 0))
    assert (ImageFeaturizer.prepare(saved(tmp_path / "b.png", grey), SPEC) == 255).all()


def test_cmyk_palette_and_the_first_frame(tmp_path):
    cmyk = saved(tmp_path / "a.jpg", halves().convert("CMYK"))
    assert ImageFeaturizer.prepare(cmyk, SPEC)[0, 0, 0] > 200
    palette = saved(tmp_path / "b.png", halves().convert("P"))
    assert ImageFeaturizer.prepare(palette, SPEC)[0, 0, 0] > 200
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    moving = saved(tmp_path / "c.gif", frames[0], save_all=True, append_images=frames[1:])
    assert ImageFeaturizer.prepare(moving, SPEC)[0, 0].tolist() == [255, 0, 0]


def test_damage_is_refused_with_a_reason(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        whole, "PNG"
    )
    for name, data in {
        "empty.png": b"",
        "cut.png": whole.getvalue()[: len(whole.getvalue()) // 2],
        "text.png": b"this is no picture",
        "script.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PayloadError, match="image: "):
            ImageFeaturizer.prepare(tmp_path / name, SPEC)
    with pytest.raises(PayloadError):
        ImageFeaturizer.prepare(tmp_path / "missing.png", SPEC)
    for array in (
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 4, 7), np.uint8),
        np.full((4, 4), np.nan),
    ):
        with pytest.raises(PayloadError):
            ImageFeaturizer.prepare(array, SPEC)


def test_too_many_pixels_are_an_error(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", halves((100, 100)))
    monkeypatch.setattr(module, "MAX_PIXELS", 9_999)
    with pytest.raises(PayloadError, match="at most 9999 pixels"):
        ImageFeaturizer.prepare(path, SPEC)


def test_features_are_centred_and_independent_of_the_batch():
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    fitted = ImageFeaturizer.fit(images, SPEC)
    features = fitted.transform(images)
    assert features.dtype == np.float32
    assert np.abs(features.mean(axis=0)).max() < 1e-5
    assert features.std() == pytest.approx(1, abs=1e-3)
    for i, one in enumerate(images):
        np.testing.assert_array_equal(fitted.transform([one])[0], features[i])
    again = ImageFeaturizer.from_tensors(SPEC, fitted.tensors())
    np.testing.assert_array_equal(again.transform(images), features)


def test_the_size_follows_small_images_that_are_all_alike(tmp_path):
    grey = [np.zeros((28, 28), np.uint8)] * 5
    assert ImageFeaturizer.suggest_spec(grey) == ImageSpec(height=28, width=28, channels=1)
    assert ImageFeaturizer.suggest_spec([*grey, np.zeros((99, 50, 3), np.uint8)]) == ImageSpec()
