"""--invariant: an image, mirrored or turned by quarters, has the same code, whatever is learned."""

import io

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hashret import Collection
from hashret.features.image import ImageFeaturizer
from hashret.models.patches import versions
from indexer import Indexer
from indexer.cli import main
from indexer.training import TrainingOptions, train
from tests.training.recipes import change_all

pytestmark = pytest.mark.long  # trains several models

BOTH = ("mirror", "rotation")


@pytest.fixture(autouse=True)
def little_training(monkeypatch):
    change_all(monkeypatch, least_steps=2, epochs=1, pretrain_epochs=1, hidden=(16,))


def picture(seed, height=40, width=28):
    """A random image of a few coloured blocks, with nothing symmetric about it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), np.uint8)
    rows, columns = np.arange(height) * 5 // height, np.arange(width) * 4 // width
    return coarse[rows[:, None], columns]


@pytest.fixture
def folder(tmp_path):
    """24 images of one size that is neither square nor larger than what is seen."""
    (tmp_path / "images").mkdir()
    for n in range(24):
        Image.fromarray(picture(n, 30, 20)).save(tmp_path / "images" / f"{n:02}.png")
    return tmp_path / "images"


def run(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def index(folder, *options):
    done = run("index", folder, "--to", folder.parent / "c", "--workers", 1, "-q", *options)
    assert done.exit_code == 0, done.output
    return folder.parent / "c"


def distances(path, folder, change):
    """The distances between stored images and what `change` makes of them."""
    with Collection.open(path) as collection:
        changed = [change(Image.open(file)) for file in sorted(folder.iterdir())]
        hits = collection.query(changed, k=24)
        names = [file.name for file in sorted(folder.iterdir())]
        return [
            next(hit.distance for hit in found if hit.id.endswith(name))
            for name, found in zip(names, hits, strict=True)
        ]


def mirrored(image):
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def turned(image):
    return image.transpose(Image.Transpose.ROTATE_90)


def as_file(image):
    stream = io.BytesIO()
    turned(mirrored(image)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("change", [mirrored, turned, as_file])
def test_mirrored_and_turned_copies_are_at_distance_zero_only_where_asked_for(folder, change):
    path = index(folder)
    assert sum(distances(path, folder, change)) > 24
    path = index(folder, "--retrain", "--invariant", "rotation, mirror")
    assert distances(path, folder, change) == [0] * 24


def test_mirrored_copies_alone(folder):
    path = index(folder, "--invariant", "mirror")
    assert distances(path, folder, mirrored) == [0] * 24
    assert sum(distances(path, folder, turned)) > 24
    with Collection.open(path) as collection:  # only turned images need a square
        spec = collection.coder.encoder.spec
        assert (spec.height, spec.width) == (30, 20)


def test_it_stays_with_the_collection_until_it_is_changed(folder):
    path = index(folder, "--invariant", "mirror,rotation", "--store-images")

    def invariant():
        with Indexer(path) as indexer:
            return tuple(indexer.description["training"]["options"]["invariant"] or ())

    assert invariant() == BOTH
    assert run("retrain", path, "-q", "--bits", 32).exit_code == 0
    assert invariant() == BOTH
    assert distances(path, folder, turned) == [0] * 24
    index(folder, "--retrain", "--store-images")
    assert invariant() == BOTH
    with Indexer(path) as indexer:
        indexer.fit()
        indexer.commit()
    assert invariant() == BOTH
    refused = run("index", folder, "--to", path, "--invariant", "mirror")
    assert refused.exit_code
    assert "made with --invariant mirror,rotation; --invariant mirror needs --retr" in (
        " ".join(refused.output.split())
    )
    refused = run("retrain", path, "--preset", "dense")
    assert isinstance(refused.exception, SystemExit), "no traceback"
    assert "`--invariant none` ends that" in " ".join(refused.output.split())
    assert run("retrain", path, "-q", "--invariant", "none").exit_code == 0
    assert invariant() == ()
    assert sum(distances(path, folder, turned)) > 24


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--invariant", "scale"], "expected mirror, rotation or none, got 'scale'"),
        (["--invariant", "mirror,mirror"], "expected mirror, rotation or none"),
        (["--invariant", "mirror", "--preset", "dense"], "--invariant: expected none with"),
        (["--invariant", "mirror", "--kind", "text"], "--invariant: expected none with"),
    ],
)
def test_what_it_is_not_for_is_refused_before_anything_is_read(folder, options, said):
    done = run("index", folder, "--to", folder.parent / "c", *options)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not (folder.parent / "c").exists()


def test_of_texts_and_images_it_is_the_images(folder):
    for n in range(24):
        (folder / f"{n}.txt").write_text(f"words of text {n} about {'cats' if n % 2 else 'dogs'}")
    images = folder.parent / "i"
    done = run(
        "index", folder, "--to", folder.parent / "c", "--images-to", images,
        "--invariant", "mirror", "--workers", 1, "-q",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with Collection.open(images) as collection:
        assert collection.coder.encoder.spec.invariant == ("mirror",)


def test_images_that_are_not_square_cannot_be_turned():
    rows = np.random.default_rng(0).standard_normal((20, 8 * 6)).astype(np.float32)
    options = TrainingOptions(n_bits=8, invariant=("rotation",))
    with pytest.raises(ValueError, match="expected square images for rotation, got 8 x 6"):
        train(rows, "image", options, shape=(8, 6, 1))


@pytest.mark.parametrize("wrong", [("scale",), "mirror", ["mirror"]])
def test_a_wrong_name_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match="invariant"):
        TrainingOptions(invariant=wrong)


@pytest.mark.parametrize("invariant", [(), ("mirror",), ("rotation",), BOTH])
def test_features_of_a_version_are_that_version_of_the_features(invariant):
    images = [picture(n, 24, 24) for n in range(9)]
    prepared = [
        ImageFeaturizer.prepare(one, ImageFeaturizer.suggest_spec(images)) for one in images
    ]
    featurizer = ImageFeaturizer.fit(prepared, ImageFeaturizer.suggest_spec(images))
    featurizer = featurizer.alike(lambda rows: versions(rows, invariant))
    plain = featurizer.transform(prepared).reshape(-1, 24, 24, 3)
    pixels = np.stack(images)
    for changed, expected in zip(
        versions(pixels, invariant), versions(plain, invariant), strict=True
    ):
        again = [ImageFeaturizer.prepare(one, featurizer.spec) for one in changed]
        assert np.array_equal(featurizer.transform(again).reshape(-1, 24, 24, 3), expected)
