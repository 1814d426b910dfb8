"""Pictures of what codes say, for the page on the family of autoencoders.

    python -m docs.decoded docs/pictures

They show the handwritten digits of scikit-learn, which may be shown: digits beside what 8 bytes
keep of them, new ones, the way from one to another, and what codes of each preset keep of digits
and of digits with noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_digits

from hashret import Collection, Item
from hashret.cli.decoding.told import Told, contact_sheet
from hashret.insight.drawing import Drawing
from indexer import Indexer, TrainingOptions
from indexer.training.presets import PRESETS

#: Digits in a row of the pictures.
_N = 8
_MARK = "hashret: docs.decoded"
#: Of the picture of all presets: pixels for one of a digit's, between two digits, of a name, and
#: between digits without noise and those with it; the noise, a share of the range.
_TIMES, _GAP, _NAME, _APART, _NOISE = 4, 6, 110, 28, 0.25


def write(folder: Path, name: str, told: Told) -> None:
    """Write a contact sheet as a PNG file."""
    (folder / f"{name}.png").write_bytes(contact_sheet(told).png(_MARK))


def main() -> None:
    """Index the digits, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    pixels = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    items = [Item(str(i), image) for i, image in enumerate(pixels)]
    for _, collection in indexed(items, ["rebuilding"]):
        draw(collection, pixels, folder)
    (folder / "presets.png").write_bytes(of_presets(items, pixels[:_N]).png(_MARK))


def indexed(items: list[Item], presets: list[str]) -> Iterator[tuple[str, Collection]]:
    """Each preset, with a collection of the items that it was learned from."""
    for preset in presets:
        with TemporaryDirectory() as place:
            with Indexer(Path(place) / "digits", "image", workers=1) as indexer:
                indexer.fit(items, TrainingOptions(preset=preset))
                indexer.add(items)
                indexer.commit()
            with Collection.open(Path(place) / "digits") as collection:
                yield preset, collection


def of_presets(items: list[Item], shown: np.ndarray) -> Drawing:
    """What codes of each preset say of some digits, and of the same with noise."""
    noise = np.random.default_rng(0).normal(0, _NOISE * 255, shown.shape)
    noisy = np.clip(np.rint(shown + noise), 0, 255).astype(np.uint8)
    rows = [("as they are", shown[..., None], noisy[..., None])]
    for preset, collection in indexed(items, list(PRESETS["image"])):
        encoder = collection.coder.encode
        told = [np.asarray(collection.decode(encoder(list(of)).codes)) for of in (shown, noisy)]
        rows.append((preset, told[0], told[1]))
    step = _TIMES * shown.shape[1] + _GAP
    right = _NAME + _N * step + _APART
    drawing = Drawing(right + _N * step, (len(rows) + 1) * step, "What codes of each preset keep")
    drawing.rect(0, 0, drawing.width, drawing.height, "paper")
    for x, title in ((_NAME, "64 bits of a digit, decoded"), (right, "of one with noise")):
        drawing.text(x, step / 2, title, size=13)
    for i, (name, clean, spoilt) in enumerate(rows, 1):
        drawing.text(_NAME - 2 * _GAP, (i + 0.45) * step, name, anchor="end", size=12)
        for x, images in ((_NAME, clean), (right, spoilt)):
            for j, image in enumerate(images):
                drawing.pixels(x + j * step, i * step, image, times=_TIMES)
    return drawing


def draw(collection: Collection, pixels: np.ndarray, folder: Path) -> None:
    """Write the three pictures."""
    shown = [str(i) for i in range(_N)]
    codes = collection.codes[collection.find(shown)]
    decoded = np.asarray(collection.decode(codes))
    both = np.concatenate([pixels[:_N, :, :, None], decoded])
    names = [*("item" for _ in shown), *("8 bytes" for _ in shown)]
    write(folder, "decoded", Told(codes, names, both, "pixels", "Digits, and what their codes say"))
    new = collection.generate(2 * _N, seed=1)
    names = [str(i) for i in range(2 * _N)]
    write(
        folder, "generated", Told(new.codes, names, new.said, "pixels", "Digits that nobody wrote")
    )
    walk = collection.generate(2 * _N, between=("0", "4"))
    names = ["item 0", *map(str, range(1, 2 * _N - 1)), "item 4"]
    write(
        folder, "walk", Told(walk.codes, names, walk.said, "pixels", "From a 0 to a 4, bit by bit")
    )


if __name__ == "__main__":
    main()
