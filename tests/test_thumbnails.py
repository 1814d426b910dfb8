"""A collection of images keeps a thumbnail of each, whatever is done with it, unless told not to."""

import shutil
from io import BytesIO

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hashret import Collection, Item
from hashret.collection import verified
from hashret.errors import HashretError, InputError, UnknownItemError
from hashret.features.image import ImageFeaturizer
from hashret.features.levels import pixels_of
from hashret.features.thumbnails import SIDE, thumbnail, whole
from hashret.specs import ImageSpec
from hashret.store.layout import Layout
from hashret.store.repair.plan import apply
from indexer import Indexer, TrainingOptions
from indexer.cli import main

OPTIONS = TrainingOptions(n_bits=16, preset="dense", epochs=1, device="cpu")


def photo(seed, height=240, width=320):
    """Smooth colours, as of a photo: blocks of noise, resampled."""
    rng = np.random.default_rng(seed)
    blocks = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    return np.asarray(blocks.resize((width, height), Image.Resampling.BICUBIC))


def as_file(pixels, form="JPEG", **how):
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, form, **how)
    return stream.getvalue()


def opened(data):
    image = Image.open(BytesIO(data))
    image.load()
    return image


def looks_like(data, pixels):
    """Whether a thumbnail shows these pixels: at 8 x 8 they differ little, on the mean."""
    small = [np.asarray(one.convert("RGB").resize((8, 8)), int) for one in (opened(data), pixels)]
    return float(np.abs(small[0] - small[1]).mean()) < 12


ITEMS = [Item(f"{n:02}.jpg", as_file(photo(n))) for n in range(12)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "c"
    with Indexer(path, "image", store_images=True) as indexer:
        indexer.fit(ITEMS, OPTIONS)
        indexer.add(ITEMS)
        indexer.commit()
    return path


def copied(made, tmp_path):
    return shutil.copytree(made, tmp_path / "c")


def shown(path):
    with Collection.open(path) as collection:
        return {item.id: collection.thumbnail(item.id) for item in collection.items()}


def test_each_item_has_one_that_shows_it(made):
    found = shown(made)
    assert found.keys() == {item.id for item in ITEMS}
    for item in ITEMS:
        image = opened(found[item.id])
        assert (image.format, max(image.size)) == ("WEBP", SIDE)
        assert looks_like(found[item.id], opened(item.payload))
        assert len(found[item.id]) < 12_000
    with Collection.open(made) as collection:
        assert collection.keeps_thumbnails
        with pytest.raises(UnknownItemError):
            collection.thumbnail("nobody")


@pytest.mark.parametrize(
    "pixels",
    [
        photo(1, 50, 400),
        photo(2, 20, 20),
        photo(3)[:, :, 0],
        (photo(4)[:, :, :1].astype(np.uint16) * 200),
        photo(5).astype(np.float32) / 255,
        np.zeros((300, 300), np.int32),
        np.full((1, 1), True),
    ],
    ids=lambda one: f"{one.dtype}-{'x'.join(map(str, one.shape))}",
)
def test_of_every_depth_and_shape(pixels):
    image = opened(thumbnail(pixels_of(pixels)))
    height, width = pixels.shape[:2]
    scale = min(1, SIDE / max(height, width))
    assert image.size == (round(width * scale), round(height * scale))


def test_it_is_upright_and_carries_nothing_else(tmp_path):
    """The orientation of a photo is applied, and where it was taken is not told."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret place"
    data = as_file(photo(0), exif=exif)
    small, large = thumbnail(pixels_of(data)), whole(data)
    assert (opened(small).size, opened(large).size) == ((120, 160), (240, 320))
    assert b"secret" in data
    assert b"secret" not in small + large
    assert not opened(large).getexif()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_codes_are_the_same_whether_one_is_made_or_not(form):
    """The image is decoded once for both: what is encoded is what it is without a thumbnail."""
    spec = ImageSpec(channels=3)
    data = as_file(photo(3), form)
    alone = ImageFeaturizer.prepare(data, spec)
    beside = ImageFeaturizer.prepare(pixels_of(data), spec)
    assert (alone.depth, alone.unit) == (beside.depth, beside.unit)
    assert np.array_equal(alone.values, beside.values)


def test_what_is_replaced_removed_and_compacted(made, tmp_path):
    path, before = copied(made, tmp_path), shown(made)
    with Indexer(path) as indexer:
        indexer.add([Item("03.jpg", as_file(photo(77))), Item("new.jpg", as_file(photo(78)))])
        indexer.remove(["00.jpg"])
        indexer.commit()
    changed = shown(path)
    assert changed.keys() == before.keys() - {"00.jpg"} | {"new.jpg"}
    assert changed["03.jpg"] != before["03.jpg"]
    assert looks_like(changed["new.jpg"], Image.fromarray(photo(78)))
    with Indexer(path) as indexer:
        indexer.compact()
    assert shown(path) == changed
    assert len(list((path / "segments").glob("*.thumbnails.arrow"))) == 1
    assert verified(path).is_sound


def test_a_new_model_keeps_them_without_the_source(made, tmp_path):
    path = copied(made, tmp_path)
    with Indexer(path) as indexer:
        indexer.fit(options=OPTIONS)
        indexer.commit()
    assert shown(path) == shown(made)


def test_added_before_anything_is_learned(tmp_path, made):
    with Indexer(tmp_path / "c", "image") as indexer:
        indexer.add(ITEMS)
        indexer.commit()
    assert shown(tmp_path / "c") == shown(made)
    with Indexer(tmp_path / "c") as indexer:
        indexer.fit(options=OPTIONS)
        indexer.commit()
    assert shown(tmp_path / "c") == shown(made)


def test_none_if_so_told_and_from_then_on_again_if_told(tmp_path):
    with Indexer(tmp_path / "c", "image", store_thumbnails=False) as indexer:
        indexer.fit(ITEMS[:6], OPTIONS)
        indexer.add(ITEMS[:6])
        indexer.commit()
    assert set(shown(tmp_path / "c").values()) == {None}
    assert not list((tmp_path / "c" / "segments").glob("*.thumbnails.arrow"))
    with Indexer(tmp_path / "c") as indexer:
        indexer.add(ITEMS[6:7])
        indexer.commit()
    assert set(shown(tmp_path / "c").values()) == {None}
    with Indexer(tmp_path / "c", store_thumbnails=True) as indexer:
        indexer.add(ITEMS)
        indexer.commit()
    with Indexer(tmp_path / "c") as indexer:
        indexer.compact()
    found = shown(tmp_path / "c")
    assert {one for one, data in found.items() if data} == {item.id for item in ITEMS[7:]}


def test_only_images_have_them(tmp_path):
    with pytest.raises(InputError, match="store_thumbnails: expected a collection of images"):
        Indexer(tmp_path / "c", "text", store_thumbnails=True)
    with Indexer(tmp_path / "v", "vector") as indexer:
        indexer.add([Item("a", np.ones(4)), Item("b", np.zeros(4) + 2)])
        indexer.commit()
    assert shown(tmp_path / "v") == {"a": None, "b": None}


def test_damage_is_named_and_costs_no_item(made, tmp_path):
    path = copied(made, tmp_path)
    (file,) = (path / "segments").glob("*.thumbnails.arrow")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with Collection.open(path) as collection, pytest.raises(HashretError, match="thumbnails"):
        collection.thumbnail("05.jpg")
    assert [one.path for one in verified(path).damages] == [f"segments/{file.name}"]
    apply(Layout.find(path))
    assert verified(path).is_sound
    assert set(shown(path).values()) == {None}
    assert len(shown(path)) == len(ITEMS)
    with Collection.open(path) as collection:
        assert not collection.keeps_thumbnails


@pytest.mark.long  # processes of the command
def test_the_command_keeps_them_unless_told_not_to(tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    for item in ITEMS[:5]:
        (source / item.id).write_bytes(item.payload)
    how = ["--preset", "dense", "--bits", "16", "--quiet"]
    for name, option in (("with", []), ("without", ["--no-thumbnails"])):
        to = tmp_path / name
        done = CliRunner().invoke(main, ["index", str(source), "--to", str(to), *how, *option])
        assert done.exit_code == 0, done.output
        assert all(bool(data) == (name == "with") for data in shown(to).values())
    with Collection.open(tmp_path / "with") as one, Collection.open(tmp_path / "without") as other:
        assert np.array_equal(one.codes.packed, other.codes.packed)
