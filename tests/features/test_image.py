"""Image files as they come: formats, rotation, depth, transparency, damage."""

import io

import numpy as np
import pytest
from PIL import Image

from hashret.errors import PayloadError
from hashret.features.image import ImageFeaturizer
from hashret.specs import ImageSpec
from tests.features.seeing import SPEC, seen


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
    pixels = seen(saved(tmp_path / f"a.{suffix}", halves()))
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.float32
    assert np.abs(pixels[:, 0].astype(int) - [255, 0, 0]).max() < 40
    assert np.abs(pixels[:, -1].astype(int) - [0, 0, 255]).max() < 40


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    pixels = seen(saved(tmp_path / "a.png", halves(), exif=exif))
    assert (pixels[0, :, 0] > 200).all()
    assert (pixels[-1, :, 2] > 200).all()


def test_transparency_is_flattened_on_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (seen(saved(tmp_path / "a.png", clear)) == 255).all()
    grey = Image.new("LA", (8, 8), (0, 0))
    assert (seen(saved(tmp_path / "b.png", grey)) == 255).all()


def test_cmyk_palette_and_the_first_frame(tmp_path):
    cmyk = saved(tmp_path / "a.jpg", halves().convert("CMYK"))
    assert seen(cmyk)[0, 0, 0] > 200
    palette = saved(tmp_path / "b.png", halves().convert("P"))
    assert seen(palette)[0, 0, 0] > 200
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    moving = saved(tmp_path / "c.gif", frames[0], save_all=True, append_images=frames[1:])
    assert seen(moving)[0, 0].tolist() == [255, 0, 0]


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
        np.zeros((4, 4), "S1"),
        np.full((4, 4), np.nan),
    ):
        with pytest.raises(PayloadError):
            ImageFeaturizer.prepare(array, SPEC)


def test_features_are_centred_and_independent_of_the_batch():
    rng = np.random.default_rng(0)
    arrays = rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    images = [ImageFeaturizer.prepare(one, SPEC) for one in arrays]
    fitted = ImageFeaturizer.fit(images, SPEC)
    features = fitted.transform(images)
    assert features.dtype == np.float32
    assert np.abs(features.mean(axis=0)).max() < 1e-5
    assert features.std() == pytest.approx(1, abs=1e-3)
    for i, one in enumerate(images):
        np.testing.assert_array_equal(fitted.transform([one])[0], features[i])
    again = ImageFeaturizer.from_tensors(fitted.spec, fitted.tensors())
    np.testing.assert_array_equal(again.transform(images), features)


def test_the_size_follows_small_images_that_are_all_alike(tmp_path):
    grey = [np.zeros((28, 28), np.uint8)] * 5
    assert ImageFeaturizer.suggest_spec(grey) == ImageSpec(height=28, width=28, channels=1)
    assert ImageFeaturizer.suggest_spec([*grey, np.zeros((99, 50, 3), np.uint8)]) == ImageSpec()
