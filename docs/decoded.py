"""Pictures of what codes say, for the page on the family of autoencoders.

    python -m docs.decoded docs/pictures

They show the handwritten digits of scikit-learn, which may be shown: digits beside what 8 bytes
keep of them, new ones, and the way from one to another.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_digits

from hashret import Collection, Item
from hashret.cli.decoding.told import Told, contact_sheet
from indexer import Indexer, TrainingOptions

#: Digits in a row of the pictures.
_N = 8
_MARK = "hashret: docs.decoded"


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
    with TemporaryDirectory() as place:
        with Indexer(Path(place) / "digits", "image", workers=1) as indexer:
            indexer.fit(items, TrainingOptions(preset="rebuilding"))
            indexer.add(items)
            indexer.commit()
        with Collection.open(Path(place) / "digits") as collection:
            draw(collection, pixels, folder)


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
