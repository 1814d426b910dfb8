"""What codes say, as it is written: lines for people and programs, pictures, arrays."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click
import numpy as np

from hashret.cli.group import shown
from hashret.codes import Codes
from hashret.errors import InputError
from hashret.insight.drawing import Drawing, pixels_as_png
from hashret.outside.outputs import replaced, require_outside, require_place
from hashret.told import ToldWord, told_json

_WHAT = "what codes say"
#: What a picture or a line of an earlier output begins with.
_MARK, _LINE = "hashret: what codes say", b'{"code": "'
_HEAD = 1024  # bytes in which the mark of an earlier picture is looked for
#: In place of words, where a code speaks of each word as usual.
_NOTHING = "no word more than usual"
#: Words in the line of one of several codes.
_IN_LINE = 10
#: A contact sheet: pixels across of a picture at least, between two, of a name; pictures in a row
#: at most; letters of a name.
_CELL, _GAP, _NAME, _MOST_IN_ROW, _LETTERS = 64, 12, 16, 8, 12


@dataclass(frozen=True, slots=True)
class Told:
    """n codes, what each is called, and what it says as `Collection.decode` gives it."""

    codes: Codes
    names: Sequence[str]
    said: list[Any] | np.ndarray
    form: str
    """As `snapshot.decoding.form_of` says it."""
    title: str
    facts: Sequence[dict[str, Any]] | None = None
    """What else is known of each, as JSON; its id, for example."""


#: The suffixes of files that what codes say is written to, by `form_of`; of vectors these.
_SUFFIXES = {"words": [".jsonl"], "pixels": [".png", ".svg", ".npy"], "series": [".jsonl"]}
_OF_VECTORS = [".npy", ".jsonl"]


def require_output(path: Path, form: str) -> None:
    """Raise `InputError` unless what codes say can be written to `path`; asked before long work."""
    suffixes = _SUFFIXES.get(form, _OF_VECTORS)
    if path.suffix.lower() not in suffixes:
        raise InputError(
            f"{path}: expected a file name with {', '.join(suffixes)}, got {path.name!r}; the "
            "suffix is the format"
        )
    require_outside(path, _WHAT)
    require_place(path, _WHAT, _is_former)


def _is_former(stream: IO[bytes]) -> bool:
    head = stream.read(_HEAD)
    return _MARK.encode() in head or head.startswith(_LINE)


def write_told(path: Path, told: Told) -> None:
    """Write what the codes say, in the format of the suffix."""
    suffix = path.suffix.lower()
    require_output(path, told.form)
    if suffix == ".jsonl":
        content = "".join(f"{line}\n" for line in json_lines(told)).encode()
    elif suffix == ".npy":
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.asarray(told.said), allow_pickle=False)
        content = stream.getvalue()
    elif suffix == ".png" and len(told.names) == 1:
        content = pixels_as_png(np.asarray(told.said)[0], _MARK, told.title)
    else:
        content = contact_sheet(told).file(suffix, _MARK)
    with replaced(path, _WHAT) as file:
        file.write(content)


def show(told: Told) -> None:
    """Write what the codes say to standard output, for people; a picture only where none reads it.

    Raises `InputError` for images on a terminal.
    """
    if told.form == "pixels":
        if sys.stdout.isatty() or len(told.names) != 1:
            raise InputError("-o: expected a file for the image, got none; add -o NAME.png")
        sys.stdout.buffer.write(pixels_as_png(np.asarray(told.said)[0], _MARK, told.title))
        return
    for line in _lines(told):
        click.echo(shown(line))


def json_lines(told: Told) -> Iterator[str]:
    """A JSON object for each code: `code`, what else is known, and what it says."""
    for i, one in enumerate(told.said):
        said: dict[str, Any] = {"code": told.codes.hex(i)}
        said |= told.facts[i] if told.facts is not None else {}
        yield json.dumps(said | told_json(told.form, one))


def _lines(told: Told) -> Iterator[str]:
    if told.form != "words":
        for one in told.said:
            yield json.dumps(one.tolist())
        return
    if len(told.names) == 1:
        yield from _table(told.said[0])
        return
    for name, words in zip(told.names, told.said, strict=True):
        yield f"{name}  {', '.join(word.word for word in words[:_IN_LINE]) or _NOTHING}"


def _table(words: list[ToldWord]) -> Iterator[str]:
    """The words of one code, with their shares of what it says and of what is usual."""
    if not words:
        yield _NOTHING
        return
    width = max([4, *(len(word.word) for word in words)])
    yield f"{'word':{width}}   share    usual"
    for word in words:
        yield f"{word.word:{width}}  {word.share:6.2%}  {word.usual:7.3%}"


def contact_sheet(told: Told) -> Drawing:
    """The images in rows, each above its name."""
    images = np.asarray(told.said)
    n, height, width = images.shape[:3]
    times = max(1, math.ceil(_CELL / width))
    across, down = times * width + _GAP, times * height + _NAME + _GAP
    in_row = min(_MOST_IN_ROW, n)
    sheet = Drawing(_GAP + in_row * across, _GAP + math.ceil(n / in_row) * down, told.title)
    for i, (name, image) in enumerate(zip(told.names, images, strict=True)):
        x, y = _GAP + i % in_row * across, _GAP + i // in_row * down
        sheet.pixels(x, y, image, times=times)
        label = name if len(name) <= _LETTERS else f"…{name[1 - _LETTERS :]}"
        middle = x + times * width / 2, y + times * height + _NAME / 2
        sheet.text(*middle, label, anchor="middle", colour="quiet", size=10.0)
    return sheet
