"""How quick is the page of `hashret serve`, in headless Chromium on this machine?

    python -m benchmarks.page COLLECTION "some text" [--repeats 9]

First paint: of the page in a browser without a cache, as the browser tells it. First hit: from
sending the form until a hit stands on the page, each time another question. Map: frames a second
while 50,000 made-up points are dragged about for three seconds, a whole drawing each.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

HASHRET = [sys.executable, "-c", "from indexer.cli import main; main()"]
#: Points of the map, as many as the server gives at most.
_N_POINTS = 50_000
_SECONDS = 3
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
_FIRST_HIT = """text => new Promise((resolve) => {
  const hits = document.getElementById("hits");
  hits.replaceChildren();
  document.getElementById("asked").value = text;
  const began = performance.now();
  new MutationObserver((_, observer) => {
    if (!hits.firstElementChild) return;
    observer.disconnect();
    resolve(performance.now() - began);
  }).observe(hits, { childList: true });
  document.getElementById("ask").requestSubmit();
})"""
#: Drags the map in a circle, by one event a frame, and counts the frames.
_DRAG = """seconds => new Promise((resolve) => {
  const canvas = document.getElementById("map-canvas");
  const box = canvas.getBoundingClientRect();
  let [began, frames] = [0, 0];
  const frame = (now) => {
    began ||= now;
    if (now - began >= 1000 * seconds) { resolve(frames / seconds); return; }
    frames += 1;
    const clientX = box.left + box.width / 2 + 150 * Math.cos(frames / 20);
    const clientY = box.top + box.height / 2 + 150 * Math.sin(frames / 20);
    canvas.dispatchEvent(new PointerEvent("pointermove", { pointerId: 1, clientX, clientY }));
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("text")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    with served(arguments.collection) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        paint = [_first_paint(browser, address) for _ in range(arguments.repeats)]
        hits = _first_hits(browser, address, arguments.text, arguments.repeats)
        frames = _frames(browser, address)
        browser.close()
    print("| | median | worst |\n|---|---|---|")
    print(f"| first paint, ms | {median(paint):.0f} | {max(paint):.0f} |")
    print(f"| first hit, ms | {median(hits):.0f} | {max(hits):.0f} |")
    for name, rate in frames.items():
        print(f"| map of {_N_POINTS:,} points, {name}: frames a second | {rate:.0f} | |")


@contextmanager
def served(*collections: Path) -> Iterator[str]:
    """The address of `hashret serve` of the collections, in a process of its own."""
    command = [*HASHRET, "serve", *map(str, collections), "--port", "0"]
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, **told) as process:
        try:
            said = ""
            for line in process.stdout or ():
                said += line
                if found := re.search(r"http://\S+", line):
                    yield found[0]
                    return
            raise RuntimeError(f"serve: expected an address, got {said!r}")
        finally:
            process.terminate()


def _first_paint(browser: Browser, address: str) -> float:
    with _page(browser) as page:
        page.goto(address)
        page.locator("#about").wait_for()
        return float(page.evaluate(_PAINT))


def _first_hits(browser: Browser, address: str, text: str, repeats: int) -> list[float]:
    """Milliseconds of each question; the first, while the server is cold, is not counted."""
    with _page(browser) as page:
        page.goto(address)
        page.locator("#about").wait_for()
        return [page.evaluate(_FIRST_HIT, f"{text} {i}") for i in range(repeats + 1)][1:]


def _frames(browser: Browser, address: str) -> dict[str, float]:
    """Frames a second, of the whole map and from near."""
    with _page(browser) as page:
        told = json.dumps(_made_up_map())
        page.route(
            "**/v1/map*", lambda route: route.fulfill(body=told, content_type="application/json")
        )
        page.goto(f"{address}#/map")
        page.get_by_text("50,000 items").wait_for()
        canvas = page.locator("#map-canvas")
        found = {}
        for name, steps in (("whole", 0), ("from near", 8)):
            for _ in range(steps):
                canvas.press("+")
            canvas.hover()
            page.mouse.down()
            found[name] = float(page.evaluate(_DRAG, _SECONDS))
            page.mouse.up()
        return found


def _made_up_map() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    topics = rng.integers(0, 20, _N_POINTS)
    places = rng.random((20, 2))[topics] * 0.8 + 0.1 + rng.normal(0, 0.03, (_N_POINTS, 2))
    x, y = places.clip(0, 1).round(5).T.tolist()
    ids = [f"item {i}" for i in range(_N_POINTS)]
    values = [f"topic {topic}" for topic in topics]
    about = {"n_items": _N_POINTS, "shown": _N_POINTS, "field": None}
    return about | {"ids": ids, "x": x, "y": y, "values": values}


@contextmanager
def _page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that has seen nothing yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


if __name__ == "__main__":
    main()
