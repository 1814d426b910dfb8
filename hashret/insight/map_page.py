"""What is the map as a page? One file that needs nothing else, and lets nothing in it run."""

from __future__ import annotations

import html
import json
from string import Template
from typing import Any

from hashret.insight.drawing import theme
from hashret.insight.map_picture import MapView
from hashret.insight.page_files import digest, page_text
from hashret.unicode_text import shown

#: What says at the beginning of a page that it is one of these.
MARK = "hashret map"
#: Steps of a coordinate in the page: finer than any screen.
_COORDINATE = 65_535
#: Longest preview of an item, in characters: the page has one for each.
_PREVIEW = 120


def map_page(of: MapView) -> bytes:
    """The map as a page of HTML, encoded."""
    style, script = theme() + page_text("map.css"), page_text("map.js")
    policy = (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        Template(page_text("map.html"))
        .substitute(
            mark=MARK,
            policy=policy,
            title=html.escape(shown(of.title)),
            facts=html.escape(shown(of.facts)),
            style=style,
            script=script,
            data=in_script(_data(of)),
        )
        .encode()
    )


def in_script(value: Any) -> str:
    """A value as JSON that can stand in a script element: nothing in it is markup."""
    written = json.dumps(value, separators=(",", ":"))
    for letter in "<>&":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return written


def _data(of: MapView) -> dict[str, Any]:
    colouring = of.colouring
    x, y = (of.code_map.places * _COORDINATE).round().astype(int).T.tolist()
    values = None if of.values is None else [None if v is None else str(v) for v in of.values]
    return {
        "ids": of.ids,
        "previews": [preview[:_PREVIEW] for preview in of.previews],
        "x": x,
        "y": y,
        "field": of.field,
        "values": values,
        "colour": colouring.numbers.tolist(),
        "colours": colouring.colours,
        "names": colouring.names,
        "counts": colouring.counts,
        "is_scale": colouring.is_scale,
        "n_steps": colouring.n_steps,
    }
