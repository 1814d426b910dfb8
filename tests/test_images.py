"""A folder of pictures, from the first command to the answer, with every preset."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from indexer.cli import main
from indexer.training.presets import PRESETS
from tests.training.recipes import change

N = 24


def picture(seed):
    """Soft blobs of colour, 56 x 48: pictures that no two seeds share."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((56, 48), Image.Resampling.BICUBIC)


def altered(image):
    """The same picture as another person would keep it: cropped, smaller, brighter, JPEG."""
    cropped = image.crop((1, 1, image.width - 1, image.height - 1)).resize((40, 34))
    return cropped.point(lambda value: min(255, value + 12))


#: One preset of each trunk; the others differ from these only in how they learn.
TRUNKS = {"patches", "dense", "conv"}
EVERY = [
    pytest.param(preset, marks=() if preset in TRUNKS else pytest.mark.long)
    for preset in PRESETS["image"]
]


@pytest.fixture(scope="module", params=EVERY)
def pictures(request, tmp_path_factory):
    """A collection of N pictures, made with few steps, and a folder of their altered copies."""
    root = tmp_path_factory.mktemp(request.param)
    (root / "originals").mkdir()
    (root / "copies").mkdir()
    for seed in range(N):
        picture(seed).save(root / "originals" / f"{seed:02}.png")
        altered(picture(seed)).save(root / "copies" / f"{seed:02}.jpg", quality=70)
    with pytest.MonkeyPatch.context() as patch:
        change(patch, "image", request.param, least_steps=120)
        options = ["--to", str(root / "c"), "--preset", request.param]
        made = CliRunner().invoke(main, ["index", str(root / "originals"), *options])
    assert made.exit_code == 0, made.output
    return root, request.param


def nearest(root, file):
    """The first hit for a picture, as the command line tells it."""
    done = CliRunner().invoke(
        main, ["query", str(root / "c"), "--file", str(file), "-k", "1", "--json"]
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[0])


def test_altered_copies_find_their_originals(pictures):
    root, _ = pictures
    hits = [nearest(root, root / "copies" / f"{seed:02}.jpg") for seed in range(N)]
    found = [f"{seed:02}.png" in hit["id"] for seed, hit in enumerate(hits)]
    assert np.mean(found) >= 0.9  # chance is 1 in 24


def test_a_stored_picture_asked_again_is_at_distance_zero(pictures):
    root, _ = pictures
    for seed in range(N):
        hit = nearest(root, root / "originals" / f"{seed:02}.png")
        assert hit["distance"] == 0
        assert f"{seed:02}.png" in hit["id"]


def test_it_says_what_it_was_made_with(pictures):
    root, preset = pictures
    done = CliRunner().invoke(main, ["info", str(root / "c"), "--json"])
    assert done.exit_code == 0, done.output
    model = json.loads(done.stdout)["model"]
    encoder = {"dense": "dense", "conv": "conv", "rebuilding": "dense"}.get(preset, "patches")
    assert (model["features"], model["encoder"], model["preset"]) == ("image", encoder, preset)
    assert model["n_features"] == 32 * 32 * 3


def test_a_shortlist_is_ordered_by_how_it_looks(pictures):
    root, _ = pictures
    asked = str(root / "originals" / "05.png")
    for how in ([], ["--rerank", "9"], ["--rerank", "0"]):
        done = CliRunner().invoke(
            main, ["query", str(root / "c"), "--file", asked, "-k", "3", *how, "--json"]
        )
        assert done.exit_code == 0, done.output
        hits = [json.loads(line) for line in done.stdout.splitlines()]
        assert "05.png" in hits[0]["id"]
        if how[1:] == ["0"]:
            assert [hit["distance"] for hit in hits] == sorted(hit["distance"] for hit in hits)
            assert hits[0].get("similarity") is None
        else:
            assert hits[0]["similarity"] == 0.0  # minus the Euclidean distance
            assert hits[1]["similarity"] < -0.2


def test_a_query_by_picture_needs_no_torch(pictures):
    root, preset = pictures
    program = (
        "import sys\nfrom indexer.cli import main\n"
        f"main(['query', {str(root / 'c')!r}, '--file', "
        f"{str(root / 'copies' / '03.jpg')!r}, '-k', '1'], standalone_mode=False)\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'faiss'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, f"{preset}: {done.stderr}"
