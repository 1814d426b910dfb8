"""Which copies does `hashret duplicates` find, and is what it finds a copy?

    python -m benchmarks.duplicates [--photos FOLDER] [--texts FILE] [--write FOLDER]

Pictures: a folder of photographs, each once, and 21 altered copies of every sixth; one collection
is learned of all. Texts: posts of 20 Newsgroups, and of every twelfth four edited copies. A copy
counts as found if it is in the group of its original. Precision is the share of all items not to be
kept whose kept one is of the same original; what the data themselves hold twice counts as wrong.

"alone" repeats that for the photographs and the copies of one kind only (a condition selects them),
so that no other copy leads from one to the other. Beside it the perceptual hash of imagehash
(`pip install imagehash`) within several radii, whose groups are what hangs together.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from benchmarks import environment

_EVERY, _EVERY_TEXT, _TEXTS = 6, 12, 6_000
Picture = Image.Image


def _jpeg(quality: int) -> Callable[[Picture], Picture]:
    def copy(picture: Picture) -> Picture:
        picture.save(buffer := io.BytesIO(), "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return copy


def _crop(part: float) -> Callable[[Picture], Picture]:
    def copy(picture: Picture) -> Picture:
        return ImageOps.crop(
            picture, (int(picture.width * part / 2), int(picture.height * part / 2)) * 2
        )  # type: ignore[arg-type]

    return copy


def _caption(picture: Picture) -> Picture:
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, int(picture.height * 0.85), picture.width, picture.height), fill=(0, 0, 0))
    draw.text((5, int(picture.height * 0.88)), "some caption here", fill=(255, 255, 255))
    return picture


_PICTURES: dict[str, Callable[[Picture], Picture] | None] = {
    "same": None,
    "png": lambda p: p,
    "q90": _jpeg(90),
    "q30": _jpeg(30),
    "q10": _jpeg(10),
    "half": lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.LANCZOS),
    "stretch": lambda p: p.resize((int(p.width * 1.3), p.height)),
    "grey": lambda p: p.convert("L").convert("RGB"),
    "bright130": lambda p: ImageEnhance.Brightness(p).enhance(1.3),
    "dark70": lambda p: ImageEnhance.Brightness(p).enhance(0.7),
    "contrast140": lambda p: ImageEnhance.Contrast(p).enhance(1.4),
    "blur2": lambda p: p.filter(ImageFilter.GaussianBlur(2)),
    "caption": _caption,
    "border": lambda p: ImageOps.expand(p, max(4, p.width // 12), (255, 255, 255)),
    "crop10": _crop(0.1),
    "crop20": _crop(0.2),
    "crop40": _crop(0.4),
    "rot3": lambda p: p.rotate(3, Image.Resampling.BICUBIC),
    "mirror": ImageOps.mirror,
    "rot90": lambda p: p.rotate(90, expand=True),
    "rot180": lambda p: p.rotate(180),
}


def _words5(text: str) -> str:
    vocabulary = ["river", "yesterday", "quickly", "seven", "bridge", "although", "paper"]
    parts = re.split(r"(\s+)", text)
    swapped = [
        p if not p.strip() or random.random() >= 0.05 else random.choice(vocabulary) for p in parts
    ]
    return "".join(swapped)


def _header(text: str) -> str:
    body = text.partition("\n\n")[2]
    return f"From: someone@else.example\nSubject: Re: other\nLines: 7\n\n{body}"


def _quoted(text: str) -> str:
    lines = "\n".join(f"> {line}" for line in text.partition("\n\n")[2].splitlines())
    return f"From: a@b.example\nSubject: answer\n\nSomebody wrote:\n{lines}\nI agree with it.\n"


_EDITS = {"same": lambda t: t, "words5": _words5, "header": _header, "quoted": _quoted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--texts", type=Path, help="docs.jsonl.gz of 20 Newsgroups")
    parser.add_argument("--write", type=Path, help="Keep the copies and the collections here.")
    arguments = parser.parse_args()
    environment.set_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.write or Path(folder)
        if arguments.photos:
            _pictures(arguments.photos, place)
        if arguments.texts:
            _texts(arguments.texts, place)


def _pictures(source: Path, place: Path) -> None:
    folder, path = place / "pictures", place / "pictures.hashret"
    if not path.exists():
        _copy_pictures(source, folder)
        _index(folder, path)
    _report("all", path)
    _report("all, mirrored and rotated", path, mirrored=True, rotated=True)
    for kind in _PICTURES:
        where = f"id.contains('--original.') or id.contains('--{kind}.')"
        turned = kind in ("mirror", "rot90", "rot180")
        _report(f"alone: {kind}", path, where=where, mirrored=turned, rotated=turned)
    _perceptual_hash(folder)


def _copy_pictures(source: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for number, path in enumerate(sorted(source.rglob("*.jpg"))):
        name = f"{path.parent.name}-{path.stem}"
        (folder / f"{name}--original.jpg").write_bytes(path.read_bytes())
        for kind, make in _PICTURES.items() if number % _EVERY == 0 else ():
            to = folder / f"{name}--{kind}.{'png' if kind == 'png' else 'jpg'}"
            if make is None:
                to.write_bytes(path.read_bytes())
            else:
                make(Image.open(path).convert("RGB")).save(to, quality=92)


def _texts(source: Path, place: Path) -> None:
    table, path = place / "texts.jsonl", place / "texts.hashret"
    random.seed(0)
    if not path.exists():
        with gzip.open(source, "rt", encoding="utf-8") as stream:
            posts = [json.loads(line) for _, line in zip(range(_TEXTS), stream, strict=False)]
        with table.open("w", encoding="utf-8") as out:
            for number, post in enumerate(posts):
                copies = _EDITS.items() if number % _EVERY_TEXT == 0 else ()
                made = [
                    ("original", post["text"]),
                    *((kind, edit(post["text"])) for kind, edit in copies),
                ]
                for kind, text in made:
                    out.write(json.dumps({"id": f"{post['id']}--{kind}", "text": text}) + "\n")
        _index(table, path)
    _report("texts", path)


def _index(source: Path, path: Path) -> None:
    from click.testing import CliRunner

    from indexer.cli import main as hashret

    done = CliRunner().invoke(hashret, ["index", str(source), "--to", str(path), "-q"])
    if done.exit_code:
        raise SystemExit(done.output)


def _report(name: str, path: Path, **how: Any) -> None:
    from hashret import Collection
    from hashret.insight.duplicates import duplicates

    with Collection.open(path) as collection:
        began = perf_counter()
        found = duplicates(collection, **how)
        seconds = perf_counter() - began
        chosen = [item.id for item in collection.items(where=how.get("where"))]
        _print(name, chosen, [[one.id for one in group] for group in found], seconds)


def _print(name: str, chosen: Iterable[str], groups: list[list[str]], seconds: float) -> None:
    """One line: how many copies, the precision, and the share of each kind that is found."""
    of = {one: group[0] for group in groups for one in group}
    others = [(one, kept) for one, kept in of.items() if one != kept]
    right = sum(_origin(one) == _origin(kept) for one, kept in others)
    originals = {_origin(one): of.get(one) for one in chosen if _kind(one) == "original"}
    found, seen = Counter[str](), Counter[str]()
    for one in chosen:
        if (kind := _kind(one)) != "original":
            seen[kind] += 1
            found[kind] += one in of and of[one] == originals[_origin(one)]
    shares = " ".join(f"{kind} {found[kind] / seen[kind]:.3f}" for kind in seen)
    precision = right / len(others) if others else 1.0
    print(
        f"{name}: {seconds:.1f} s, {len(others)} copies, {len(others) - right} wrong, "
        f"precision {precision:.3f}; {shares}",
        flush=True,
    )


def _origin(item_id: str) -> str:
    return item_id.rpartition("--")[0]


def _kind(item_id: str) -> str:
    return item_id.rpartition("--")[2].partition(".")[0]


def _perceptual_hash(folder: Path) -> None:
    """The same, by imagehash's `phash` within several radii."""
    import imagehash
    import numpy as np

    from hashret.insight.near_pairs import Components

    paths = sorted(folder.iterdir())
    hashes = np.stack([imagehash.phash(Image.open(path)).hash.ravel() for path in paths])
    signs = 2.0 * hashes - 1.0
    distances = (64 - signs @ signs.T) / 2
    for radius in range(0, 13, 2):
        near = Components(len(paths))
        near.join(*np.nonzero(distances <= radius))
        groups = list(_together([path.name for path in paths], near.label.tolist()))
        _print(f"phash within {radius}", [path.name for path in paths], groups, 0.0)


def _together(names: list[str], labels: Iterable[int]) -> Iterator[list[str]]:
    groups = defaultdict[int, list[str]](list)
    for name, label in zip(names, labels, strict=True):
        groups[label].append(name)
    yield from (group for group in groups.values() if len(group) > 1)


if __name__ == "__main__":
    main()
