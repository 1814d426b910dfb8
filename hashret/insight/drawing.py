"""What is a picture made of? Rectangles, lines, dots, letters, pixels, as SVG or as PNG.

A colour is "#rrggbb" or the name of one that suits light and dark backgrounds: "ink", "quiet",
"line" or "paper". Coordinates are pixels from the upper left corner.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal
from xml.sax.saxutils import escape

import numpy as np

from hashret.errors import InputError
from hashret.unicode_text import shown

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

Anchor = Literal["start", "middle", "end"]

#: The named colours, on a light background and on a dark one.
LIGHT = {"ink": "#1b1b1f", "quiet": "#5c5f66", "line": "#d5d6da", "paper": "#fdfdfb"}
DARK = {"ink": "#e8e6e3", "quiet": "#a2a6ad", "line": "#3a3d43", "paper": "#17181b"}
#: Pixels of a PNG for one of the drawing, across: so it stays sharp on screens with small pixels.
_PNG_SCALE = 2
#: Further pixels, across, that are averaged to one, so that edges are smooth.
_SMOOTHED = 2
_LETTERS = {"start": "la", "middle": "ma", "end": "ra"}


def theme() -> str:
    """Style sheet rules that give the named colours their values, by what the viewer prefers."""

    def values(colours: dict[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in colours.items())

    dark = f"@media (prefers-color-scheme:dark){{:root{{{values(DARK)}}}}}"
    return f":root{{color-scheme:light dark;{values(LIGHT)}}}{dark}"


@dataclass(frozen=True, slots=True)
class _Rect:
    box: tuple[float, float, float, float]
    """x, y, width, height."""
    colour: str

    def moved(self, down: float) -> _Rect:
        x, y, width, height = self.box
        return replace(self, box=(x, y + down, width, height))


@dataclass(frozen=True, slots=True)
class _Line:
    points: Sequence[tuple[float, float]]
    colour: str
    width: float

    def moved(self, down: float) -> _Line:
        return replace(self, points=[(x, y + down) for x, y in self.points])


@dataclass(frozen=True, slots=True)
class _Dots:
    points: np.ndarray
    """(n, 2)."""
    colour: str
    radius: float

    def moved(self, down: float) -> _Dots:
        return replace(self, points=self.points + np.array([0.0, down]))


@dataclass(frozen=True, slots=True)
class _Text:
    at: tuple[float, float]
    """The middle of the letters' height, and their start, middle or end."""
    text: str
    anchor: Anchor
    colour: str
    size: float

    def moved(self, down: float) -> _Text:
        return replace(self, at=(self.at[0], self.at[1] + down))


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    box: tuple[float, float, float, float]
    """x, y, width, height."""
    pixels: np.ndarray
    """(height, width, channels) uint8, 1 or 3 of these."""

    def moved(self, down: float) -> _Pixels:
        x, y, width, height = self.box
        return replace(self, box=(x, y + down, width, height))

    def image(self) -> Image.Image:
        from PIL import Image

        return Image.fromarray(self.pixels.squeeze(2) if self.pixels.shape[2] == 1 else self.pixels)


_Mark = _Rect | _Line | _Dots | _Text | _Pixels


@dataclass(slots=True)
class Drawing:
    """A picture of `width` x `height`; what is added later lies above."""

    width: int
    height: int
    title: str
    """What it shows, for whoever can't see it."""
    _marks: list[_Mark] = field(default_factory=list)

    def rect(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Add a filled rectangle."""
        self._marks.append(_Rect((x, y, width, height), colour))

    def line(self, points: Iterable[tuple[float, float]], colour: str, width: float = 1.0) -> None:
        """Add a line through points."""
        self._marks.append(_Line(list(points), colour, width))

    def dots(self, points: np.ndarray, colour: str, radius: float) -> None:
        """Add a dot at each of the points (n, 2)."""
        self._marks.append(_Dots(points, colour, radius))

    def pixels(self, x: float, y: float, pixels: np.ndarray, *, times: int = 1) -> None:
        """Add an image, (height, width, channels) uint8, each of its pixels so many wide."""
        height, width = pixels.shape[:2]
        self._marks.append(_Pixels((x, y, times * width, times * height), pixels))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: Anchor = "start",
        colour: str = "ink",
        size: float = 12.0,
    ) -> None:
        """Add letters in one line, about the height y; what is not to be seen is escaped."""
        self._marks.append(_Text((x, y), shown(text), anchor, colour, size))

    def svg(self, mark: str = "") -> str:
        """The picture as an SVG element that takes the named colours from the page around it.

        With a `mark` it is a file of its own, which has the colours, and the mark as a comment.
        """
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" '
            'font-family="system-ui,sans-serif">'
        )
        before = f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {mark} -->\n' if mark else ""
        style = f"<style>{theme()}</style>" if mark else ""
        paper = '<rect width="100%" height="100%" fill="var(--paper)"/>' if mark else ""
        marks = "\n".join(map(_as_svg, self._marks))
        title = f"<title>{escape(shown(self.title))}</title>"
        return f"{before}{head}{title}{style}{paper}\n{marks}\n</svg>\n"

    def png(self, mark: str) -> bytes:
        """The picture as a PNG file on a light background, whose text says `mark`."""
        from PIL import Image, ImageDraw

        scale = _PNG_SCALE * _SMOOTHED
        image = Image.new("RGB", (self.width * scale, self.height * scale), LIGHT["paper"])
        pen = ImageDraw.Draw(image)
        for one in self._marks:
            if isinstance(one, _Pixels):
                x, y, width, height = (round(scale * value) for value in one.box)
                image.paste(one.image().resize((width, height), Image.Resampling.NEAREST), (x, y))
            elif not isinstance(one, _Text):
                _draw(pen, one, scale)
        image = image.reduce(_SMOOTHED)
        pen = ImageDraw.Draw(image)  # letters are smooth by themselves
        for one in self._marks:
            if isinstance(one, _Text):
                _write(pen, one)
        return encoded(image, mark, self.title)

    def file(self, suffix: str, mark: str) -> bytes:
        """The picture as a file whose name has this suffix: .svg or .png."""
        return self.png(mark) if suffix == ".png" else self.svg(mark).encode()


def stacked(title: str, drawings: Sequence[Drawing]) -> Drawing:
    """The drawings below one another."""
    width = max(drawing.width for drawing in drawings)
    whole, top = Drawing(width, sum(drawing.height for drawing in drawings), title), 0
    for drawing in drawings:
        whole._marks += [one.moved(top) for one in drawing._marks]
        top += drawing.height
    return whole


def pixels_as_png(pixels: np.ndarray, mark: str, title: str) -> bytes:
    """An image (height, width, channels) uint8 as a PNG file, pixel for pixel."""
    height, width = pixels.shape[:2]
    return encoded(_Pixels((0, 0, width, height), pixels).image(), mark, title)


def encoded(image: Image.Image, mark: str, title: str) -> bytes:
    """An image as a PNG file whose text says `mark` and its title."""
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("Software", mark)
    about.add_itxt("Title", shown(title))
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=about, optimize=True)
    return stream.getvalue()


def _paint(colour: str) -> str:
    return colour if colour.startswith("#") else f"var(--{colour})"


def _short(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def _as_svg(one: _Mark) -> str:
    if isinstance(one, _Pixels):
        x, y, width, height = map(_short, one.box)
        stream = io.BytesIO()
        image = one.image()
        image.save(stream, "PNG", optimize=True)
        return (
            f'<image x="{x}" y="{y}" width="{width}" height="{height}" '
            'style="image-rendering:pixelated" '
            f'href="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"/>'
        )
    paint = _paint(one.colour)
    if isinstance(one, _Rect):
        x, y, width, height = map(_short, one.box)
        return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{paint}"/>'
    if isinstance(one, _Text):
        x, y = map(_short, one.at)
        return (
            f'<text x="{x}" y="{y}" text-anchor="{one.anchor}" dominant-baseline="central" '
            f'font-size="{_short(one.size)}" fill="{paint}">{escape(one.text)}</text>'
        )
    if isinstance(one, _Line):
        path = "L".join(f"{_short(x)} {_short(y)}" for x, y in one.points)
        ends = 'stroke-linejoin="round" fill="none"'
        width = _short(one.width)
    else:  # a line without length that has round ends is a dot, and far shorter than a circle
        path = "M".join(f"{_short(x)} {_short(y)}h0" for x, y in one.points.tolist())
        ends, width = 'stroke-linecap="round"', _short(2 * one.radius)
    return f'<path d="M{path}" stroke="{paint}" stroke-width="{width}" {ends}/>' if path else ""


def _draw(pen: ImageDraw.ImageDraw, one: _Rect | _Line | _Dots, scale: int) -> None:
    colour = LIGHT.get(one.colour, one.colour)
    if isinstance(one, _Rect):
        x, y, width, height = (scale * value for value in one.box)
        if width > 0 and height > 0:
            pen.rectangle((x, y, max(x, x + width - 1), max(y, y + height - 1)), colour)
    elif isinstance(one, _Line):
        points = [(scale * x, scale * y) for x, y in one.points]
        pen.line(points, colour, max(1, round(scale * one.width)), joint="curve")
    else:
        radius = scale * one.radius
        for x, y in (scale * one.points).tolist():
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _write(pen: ImageDraw.ImageDraw, one: _Text) -> None:
    font = _font(one.size * _PNG_SCALE)
    at = one.at[0] * _PNG_SCALE, (one.at[1] - 0.55 * one.size) * _PNG_SCALE
    pen.text(at, one.text, LIGHT.get(one.colour, one.colour), font, _LETTERS[one.anchor])


def _font(size: float) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise InputError(
            "PNG: expected a Pillow with FreeType, which draws letters, got one without; "
            "install Pillow from its wheels, or write an SVG"
        )
    return font
