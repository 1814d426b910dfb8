"""Pictures as SVG and PNG: both show the same, and say what they show."""

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hashret.insight.charts import Axis, bars, curves
from hashret.insight.code_map import lay_out
from hashret.insight.colours import CATEGORIES
from hashret.insight.drawing import LIGHT, Drawing, stacked
from hashret.insight.map_picture import map_drawing, view_of

SVG = "{http://www.w3.org/2000/svg}"


def png(drawing):
    return Image.open(io.BytesIO(drawing.png("a test")))


def rgb(colour):
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def test_marks_are_where_they_were_put():
    drawing = Drawing(100, 60, "marks")
    drawing.rect(10, 10, 20, 20, "#dc0058")
    drawing.line([(50, 10), (50, 50)], "ink", 4)
    drawing.dots(np.array([[80.0, 30.0]]), "#247500", 6)
    image = png(stacked("two", [drawing, drawing]))
    assert image.size == (200, 240)
    for down in (0, 120):
        assert image.getpixel((40, 40 + down)) == rgb("#dc0058")
        assert image.getpixel((100, 60 + down)) == rgb(LIGHT["ink"])
        assert image.getpixel((160, 60 + down)) == rgb("#247500")
        assert image.getpixel((130, 60 + down)) == rgb(LIGHT["paper"])
    assert (image.text["Software"], image.text["Title"]) == ("a test", "two")


@given(st.text())
def test_any_text_makes_a_sound_svg_and_png(text):
    drawing = Drawing(80, 40, text)
    drawing.text(4, 10, text)
    found = ET.fromstring(drawing.svg("a test"))  # noqa: S314 - our own
    assert [one.tag for one in found] == [SVG + name for name in ("title", "style", "rect", "text")]
    png(drawing).load()


@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-6, 1e6),
    st.booleans(),
    st.lists(st.floats(-1e6, 1e6), min_size=1),
)
def test_ticks_lie_on_the_axis_and_are_few(low, span, logarithmic, values):
    axis = Axis("", abs(low) + 1 if logarithmic else low, abs(low) + 1 + span, logarithmic)
    ticks = axis.ticks()
    slack = 1e-6 * (abs(axis.low) + axis.high)
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in ticks)
    assert len(ticks) < 14
    assert all(0 <= axis.share(value) <= 1 for value in values)


def test_curves_have_a_legend_and_bars_their_heights():
    lines = {"one": ([0, 10], [0.0, 1.0]), "two": ([0, 10], [1.0, 0.0])}
    said = curves("Precision", Axis("bits", 0, 10), Axis("", 0, 1), lines).svg()
    assert all(f">{word}</text>" in said for word in ("Precision", "bits", "one", "two"))
    drawn = bars("Bars", Axis("x", 0, 2), Axis("", 0, 1), [0, 1, 2], [1.0, 0.0])
    found = ET.fromstring(drawn.svg())  # noqa: S314 - our own
    assert len(found.findall(f"{SVG}rect")) == 1


def test_the_picture_of_a_map_has_title_legend_and_colours(topics):
    drawing = map_drawing(view_of(topics, lay_out(topics), "topic", "<topics>"))
    said = drawing.svg("a test")
    assert all(f">{name} (30)</text>" in said for name in ("kitchen", "music", "sea", "space"))
    assert "<title>Map of &lt;topics&gt;</title>" in said
    assert "2 without a code are left out" in said
    found = {colour for _, colour in png(drawing).convert("RGB").getcolors(1 << 24)}
    assert {rgb(colour) for colour in CATEGORIES[:4]} <= found
    assert rgb(CATEGORIES[4]) not in found


def test_a_map_without_a_field_has_no_legend(topics):
    shown = map_drawing(view_of(topics, lay_out(topics), None, "topics"))
    assert shown.width < map_drawing(view_of(topics, lay_out(topics), "year", "topics")).width


@pytest.mark.parametrize("field", ["topic", "year"])
def test_svg_and_png_have_the_same_size(topics, field):
    drawing = map_drawing(view_of(topics, lay_out(topics), field, "topics"))
    assert png(drawing).size == (2 * drawing.width, 2 * drawing.height)
