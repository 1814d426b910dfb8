"""Same pixels, same levels: in any format, depth and width of number; and what a corpus says."""

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashret import specs
from hashret.errors import PayloadError
from hashret.features import pictures
from hashret.features.image import ImageFeaturizer
from hashret.features.levels import learned_ranges
from hashret.specs import ImageSpec
from tests.features.seeing import SPEC, seen


def encoded(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@st.composite
def picture(draw, channels=(None, 3)):
    """A small picture of bytes, at least one of them above 1."""
    shape = (draw(st.integers(1, 21)), draw(st.integers(1, 21)))
    n_channels = draw(st.sampled_from(channels))
    shape = shape if n_channels is None else (*shape, n_channels)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    pixels = rng.integers(0, draw(st.integers(3, 256)), shape, np.uint8)
    pixels.flat[0] = 2
    return pixels


@st.composite
def size(draw):
    channels = draw(st.sampled_from([1, 3]))
    return ImageSpec(draw(st.integers(1, 9)), draw(st.integers(1, 9)), channels)


@settings(max_examples=60, deadline=None)
@given(pixels=picture(), spec=size())
def test_the_same_picture_in_any_form_has_the_same_levels(pixels, spec):
    wanted = seen(pixels, spec)
    image = Image.fromarray(pixels)
    forms = {form: encoded(image, form) for form in ("PNG", "TIFF", "BMP")}
    forms["WEBP"] = encoded(image.convert("RGB"), "WEBP", lossless=True)
    forms["LZW"] = encoded(image, "TIFF", compression="tiff_lzw")
    forms["Pillow"] = image
    forms["opaque"] = image.convert("RGBA" if pixels.ndim == 3 else "LA")
    forms["opaque array"] = np.asarray(forms["opaque"])
    for name in ("int8", "int16", "<i4", ">i4", "uint32", "int64", "float16", "float32", "float64"):
        if name != "int8" or pixels.max() < 128:
            forms[name] = pixels.astype(name)
    forms["16 bits"] = pixels.astype(np.uint16) * 257
    forms["floats to 1"] = pixels.astype(np.float32) / np.float32(255)
    if pixels.ndim == 2:
        forms["deep PNG"] = encoded(Image.fromarray(forms["16 bits"]), "PNG")
        forms["deep TIFF"] = encoded(Image.fromarray(forms["16 bits"]), "TIFF")
        forms["wide TIFF"] = encoded(Image.fromarray(pixels.astype(np.int32)), "TIFF")
        forms["TIFF of floats"] = encoded(Image.fromarray(pixels.astype(np.float32)), "TIFF")
    for name, form in forms.items():
        assert np.array_equal(seen(form, spec), wanted), name
        # also where the corpus is of such pictures, and says what is black and white
        if "16" not in name and "deep" not in name:
            bright = np.array([[0, 255]], np.uint8)
            kind = form.dtype if isinstance(form, np.ndarray) and form.dtype != np.int8 else "u1"
            scale = 1 / 255 if name == "floats to 1" else 1
            corpus = [ImageFeaturizer.prepare((bright * scale).astype(kind), spec)] * 3
            assert np.array_equal(seen(form, spec, corpus), wanted), name


@settings(max_examples=60, deadline=None)
@given(pixels=picture(), spec=size())
def test_levels_are_the_means_of_areas(pixels, spec):
    """Against the area of each pixel in each cell, in fractions."""
    height, width = pixels.shape[:2]
    colours = pixels if pixels.ndim == 3 else pixels[:, :, None]

    def shares(n, count):
        return [
            [max(0, min(Fraction(i + 1, n), Fraction(j + 1, count)) - max(Fraction(i, n), Fraction(j, count)))
             * count for i in range(n)]
            for j in range(count)
        ]  # fmt: skip

    found = seen(pixels, spec)
    rows, columns = shares(height, spec.height), shares(width, spec.width)
    for j, i in [(0, 0), (spec.height - 1, spec.width - 1), (spec.height // 2, spec.width // 2)]:
        cell = [
            sum(
                rows[j][y] * columns[i][x] * int(colours[y, x, c])
                for y in range(height)
                for x in range(width)
            )
            for c in range(colours.shape[2])
        ]
        if spec.channels == 1 and len(cell) == 3:
            cell = [0.299 * float(cell[0]) + 0.587 * float(cell[1]) + 0.114 * float(cell[2])]
        assert np.allclose(found[j, i], [float(v) for v in cell], atol=0.51 / 256 + 0.01)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_is_its_pixels(tmp_path, mode, options):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    image = Image.fromarray(pixels).resize((333, 251), Image.Resampling.BICUBIC).convert(mode)
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(image, "JPEG", quality=80, **options))
    with Image.open(path) as opened:
        full = opened.convert("RGB")
    for form in (path.read_bytes(), full, np.asarray(full), encoded(full, "PNG")):
        assert np.array_equal(seen(form), seen(path))


def test_what_turns_or_paints_a_file_is_done_before_its_pixels_are_compared():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 3), np.uint8)
    image = Image.fromarray(pixels)
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        with Image.open(io.BytesIO(encoded(image, "PNG", exif=exif))) as turned:
            by_file = seen(turned)
        assert not np.array_equal(by_file, seen(image)), orientation
    exif[0x0112] = 6
    by_file = seen(encoded(image, "JPEG", exif=exif, quality=100, subsampling=0))
    assert np.abs(by_file - seen(np.rot90(pixels, -1))).max() < 8
    palette = image.quantize(16)
    assert np.array_equal(seen(encoded(palette, "PNG")), seen(palette.convert("RGB")))
    clear = Image.new("LA", (8, 8), (30, 51))  # a fifth of dark grey on white
    for form in (
        clear,
        np.asarray(clear),
        encoded(clear, "PNG"),
        np.asarray(clear.convert("RGBA")),
    ):
        assert (seen(form) == 210).all()
    deep = np.asarray(clear.convert("RGBA"))
    for form in (deep.astype(np.uint16) * 257, deep / 255, deep.astype(np.float32)):
        assert (seen(form) == 210).all()


def test_both_orders_of_bytes_are_read():
    deep = np.random.default_rng(0).integers(20_000, 30_000, (8, 8)).astype("<u2")
    big = Image.frombytes("I;16B", (8, 8), deep.astype(">u2").tobytes())
    for form in (deep.astype(">u2"), encoded(big, "TIFF"), encoded(Image.fromarray(deep), "PNG")):
        assert np.array_equal(seen(form), seen(deep))
    assert np.allclose(seen(deep)[:, :, 0], deep / 257, atol=0.5 / 256)


def corpus_of(*arrays):
    spec = ImageSpec(height=2, width=2, channels=1)
    return [ImageFeaturizer.prepare(array, spec) for array in arrays]


def ramp(high, dtype, low=0):
    return np.linspace(low, high, 4).reshape(2, 2).astype(dtype)


@pytest.mark.parametrize(
    ("corpus", "ranges"),
    [
        ([], (0, 65535, 0, 255, 0, 0)),
        ([ramp(255, "u1")] * 3, (0, 65535, 0, 255, 0, 0)),
        ([ramp(255, "u2"), ramp(40, "u2")], (0, 255, 0, 255, 0, 0)),
        ([ramp(4000, "u2"), ramp(40, "u2")], (0, 4095, 0, 255, 0, 0)),
        ([ramp(1000, "u2"), ramp(200, "i4")], (0, 1023, 0, 255, 0, 0)),
        ([ramp(60_000, "u2")], (0, 65535, 0, 255, 0, 0)),
        ([ramp(4080, "i4")], (0, 65535, 0, 4095, 0, 0)),
        ([ramp(3000, "i2", -1024), ramp(0, "i2")], (0, 65535, -1024, 3000, 0, 0)),
        ([ramp(1, "f4"), ramp(0.1, "f4")], (0, 65535, 0, 255, 0, 1)),
        ([ramp(1.05, "f4", -0.04)], (0, 65535, 0, 255, 0, 1)),
        ([ramp(255, "f4"), ramp(0.5, "f4")], (0, 65535, 0, 255, 0, 255)),
        ([ramp(4095, "f4")], (0, 65535, 0, 255, 0, 4095)),
        ([ramp(2, "f4", -2)], (0, 65535, 0, 255, -2, 2)),
        # one of a hundred and more does not make the others black
        ([ramp(255, "u2")] * 150 + [ramp(65535, "u2")], (0, 255, 0, 255, 0, 0)),
    ],
)
def test_black_and_white_are_what_the_corpus_says(corpus, ranges):
    assert learned_ranges(corpus_of(*corpus)) == ranges


@pytest.mark.parametrize(("dtype", "high"), [("u2", 4095), ("i4", 4095), ("f4", 1), ("f8", 255)])
def test_a_dark_picture_stays_dark_and_deep(dtype, high):
    dark = ramp(high / 64, "f8").astype(dtype)
    spec = ImageSpec(height=2, width=2, channels=1)
    pixels = seen(dark, spec, corpus_of(ramp(high, dtype)))
    assert np.allclose(pixels.ravel(), dark.ravel() * (255.0 / high), atol=0.5 / 256)
    assert len(np.unique(pixels)) == 4


@pytest.mark.parametrize(
    ("corpus", "payload", "words"),
    [
        ([], ramp(4080, "i4"), "from about 0 to 255, .* wide whole numbers have, got 0 to 4080"),
        ([], ramp(100, "i4", -300), "got -300 to 100"),
        ([ramp(255, "u2")], ramp(60_000, "u2"), "from about 0 to 255, .* 16 bits"),
        ([], ramp(4000, "f4"), "0 to 255, .* floats"),
        ([ramp(1, "f4")], ramp(255, "f4"), "from about 0 to 1"),
    ],
)
def test_numbers_on_another_scale_are_refused(corpus, payload, words):
    spec = ImageSpec(height=2, width=2, channels=1)
    fitted = ImageFeaturizer.fit(corpus_of(*corpus, ramp(255, "u1")), spec)
    with pytest.raises(PayloadError, match=words) as raised:
        ImageFeaturizer.prepare(payload, fitted.spec)
    assert raised.value.error_class == "other-scale"


def test_what_was_learned_goes_with_the_model():
    spec = ImageSpec(height=2, width=2, channels=1)
    fitted = ImageFeaturizer.fit(corpus_of(ramp(4000, "u2"), ramp(255, "u1")), spec)
    again = ImageFeaturizer.from_tensors(
        specs.from_json(specs.to_json(fitted.spec)), fitted.tensors()
    )
    one = ImageFeaturizer.prepare(ramp(3000, "u2"), again.spec)
    assert np.array_equal(again.transform([one]), fitted.transform([one]))
    assert np.allclose(again.spans(again.transform([one])), 3000 * 255 / 4095, atol=0.01)


def test_a_model_of_before_reads_as_before():
    known = specs.to_json(ImageSpec())
    former = {name: known[name] for name in ("kind", "height", "width", "channels")}
    assert specs.from_json(former).reading == 1
    assert specs.from_json(known).reading == 2
    grey = specs.from_json(former | {"height": 1, "width": 3, "channels": 1})
    deep = np.array([[256, 512, 65535]], np.uint16)
    assert ImageFeaturizer.prepare(deep, grey).ravel().tolist() == [1, 2, 255]
    assert ImageFeaturizer.prepare(np.array([[-3.0, 0.0, 3.0]]), grey).ravel().tolist() == [
        0,
        128,
        255,
    ]
    with pytest.raises(PayloadError, match="expected 0 to 255"):
        ImageFeaturizer.prepare(np.array([[0, 300, 1]]), grey)


@pytest.mark.parametrize("wrong", [(1.0, 0.0, 0, 255, 0, 1), (0.0, 1.0)])
def test_ranges_are_three_pairs(wrong):
    with pytest.raises(ValueError, match="ranges: expected numbers for black and white"):
        ImageSpec(ranges=wrong)


@pytest.mark.parametrize("give", [bytes, io.BytesIO, "path"])
def test_a_jpeg_beyond_the_limit_of_pixels_is_decoded_at_half_its_size(tmp_path, monkeypatch, give):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 5_000)
    monkeypatch.setattr(pictures, "MAX_JPEG_PIXELS", 20_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)  # Pillow refuses twice as many

    def given(data):
        if give == "path":
            (tmp_path / "a.jpg").write_bytes(data)
        return tmp_path / "a.jpg" if give == "path" else give(data)

    rng = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    large = Image.fromarray(rng).resize((140, 138), Image.Resampling.BICUBIC)
    found = seen(given(encoded(large, "JPEG", quality=95)))
    assert np.abs(found - seen(np.asarray(large))).max() < 6
    for form, picture in (("JPEG", large.resize((150, 150))), ("PNG", large)):
        with pytest.raises(PayloadError, match=r"at most 5000 pixels|exceeds limit") as raised:
            seen(given(encoded(picture, form)))
        assert raised.value.error_class == "too-many-pixels"
    assert seen(np.asarray(large.resize((300, 300)))).shape == SPEC_SHAPE


SPEC_SHAPE = (SPEC.height, SPEC.width, SPEC.channels)
