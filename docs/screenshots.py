"""Pictures of the page of `hashret serve`, for the README, the guide, and whoever looks at CI.

    python -m docs.screenshots FOLDER [--demo COLLECTION]

What they show may be shown: the docstrings of Python's standard library (`hashret demo`, unless a
demo that is there already is given) and the handwritten digits of scikit-learn. A view that can't
be shown is left out, and said.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.page import HASHRET, served

#: Digits that are indexed: enough for neighbours of each, and a minute at most.
N_DIGITS = 600
#: Milliseconds that a map may take to be laid out on a busy machine.
PATIENCE = 180_000


def explain(page: Page) -> None:
    """Open the reasons of the first hit, and point at a word."""
    page.get_by_role("button", name="Why this hit").first.click()
    page.locator(".why .chip, .why .place").first.wait_for()
    page.locator(".why .chip, .why .place").first.hover()


def flip(page: Page) -> None:
    """Flip two bits."""
    for bit in (12, 17):
        page.locator("#query-code .bit").nth(bit).click()
        page.get_by_text("flipped bit").first.wait_for()


def wait_for_map(page: Page) -> None:
    """Wait until the map is laid out."""
    page.locator("#map-legend button").first.wait_for(timeout=PATIENCE)


def nothing(page: Page) -> None:
    """Show the view as it is."""


#: Name of the picture, colours, width in pixels, address on the page, what else is done, and what
#: stands on it when it is ready.
SHOTS = (
    ("welcome", "light", 1200, "search?collection=demo", nothing, "#about"),
    ("search", "light", 1200, "search?text=read+a+zip+archive&collection=demo", nothing, ".hit"),
    ("flip", "light", 1200, "search?text=read+a+zip+archive&collection=demo", flip, ".hit"),
    ("why", "dark", 1200, "search?text=read+a+zip+archive&collection=demo", explain, ".hit"),
    ("narrow", "light", 390, "search?text=read+a+zip+archive&collection=demo", nothing, ".hit"),
    ("map", "light", 1200, "map?field=module&collection=demo", wait_for_map, "#map-canvas"),
    ("bits", "light", 1200, "bits?collection=demo", nothing, "#bits-rows tr"),
    ("bit", "dark", 1200, "bits/5?collection=demo", nothing, "#bit-facts p"),
    ("duplicates", "light", 1200, "duplicates?collection=demo", nothing, ".group"),
    ("statistics", "dark", 1200, "statistics?collection=demo", nothing, ".figure"),
    ("pictures", "light", 1200, "search?id=0007.png&collection=digits", nothing, ".hit"),
    ("places", "dark", 1200, "search?id=0007.png&collection=digits", explain, ".hit"),
)


def main() -> None:
    """Make the collections, serve them, and take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--demo", type=Path, help="a collection that `hashret demo` made")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        demo, digits = Path(temporary, "demo.hashret"), Path(temporary, "digits.hashret")
        if arguments.demo is not None:
            shutil.copytree(arguments.demo, demo)
        else:
            subprocess.run([*HASHRET, "demo", "--to", str(demo)], check=True, capture_output=True)
        make_digits(Path(temporary, "digits"))
        command = ["index", str(Path(temporary, "digits")), "--to", str(digits), "--store-images"]
        subprocess.run([*HASHRET, *command], check=True, capture_output=True)
        with served(demo, digits) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for shot in SHOTS:
                take(browser, address, arguments.folder, *shot)
            browser.close()


def make_digits(folder: Path) -> None:
    """Write handwritten digits as PNG files, eight times their size."""
    from sklearn.datasets import load_digits

    folder.mkdir()
    for i, image in enumerate(load_digits().images[:N_DIGITS]):
        picture = Image.fromarray((255 - image * 15.9).astype("uint8"))
        picture.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{i:04}.png")


def take(
    browser: Browser,
    address: str,
    folder: Path,
    name: str,
    scheme: str,
    width: int,
    view: str,
    do: Callable[[Page], None],
    shown: str,
) -> None:
    """Take one picture, or say why there is none."""
    size = {"width": width, "height": 844}
    context = browser.new_context(color_scheme=scheme, viewport=size, device_scale_factor=1.5)
    page = context.new_page()
    page.goto(f"{address}#/{view}")
    page.locator(f"{shown}, main .wrong:not(:empty)").first.wait_for(timeout=PATIENCE)
    refused = " ".join(page.locator("main .wrong:not(:empty)").all_inner_texts())
    if refused:
        print(f"{name}: left out, {refused}")
    else:
        do(page)
        page.wait_for_timeout(400)  # what lights up, and pictures that come last
        page.screenshot(path=folder / f"{name}.png")
        print(folder / f"{name}.png")
    context.close()


if __name__ == "__main__":
    main()
