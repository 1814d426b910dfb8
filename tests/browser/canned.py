"""Answers of the endpoints that explain, map and compare, as the page is told them; all small.

Names and texts in them are hostile: none of it may become markup.
"""

import io
import json

import numpy as np
from PIL import Image

HOSTILE = "<img src=x onerror=alert(1)>"
N_BITS = 16


def explanation(parts, item):
    """An explanation whose parts are words, places or numbers."""
    of = {
        "words": [{"word": "ship"}, {"word": HOSTILE}, {"word": "the"}],
        "places": [{"x": x / 2, "y": 0, "width": 0.5, "height": 0.5} for x in (0, 1)],
        "numbers": [{"number": 3}, {"number": 7}],
    }[parts]
    effects = [(3, [0, 5, 9]), (-1, [2]), (0, [])]
    told = [
        part | {"effect": effect, "bits": bits}
        for part, (effect, bits) in zip(of, effects, strict=False)
    ]
    return {
        "n_bits": N_BITS,
        "distance": 2,
        "usual": 8,
        "query": {"code": "00ff", "parts": told},
        "item": {"id": item, "code": "00fc", "parts": told},
        "parts": parts,
        "agree": list(range(14)),
        "differ": [14, 15],
    }


def bits(bit=None):
    """What each bit means."""

    def one(j):
        surest = [{"id": HOSTILE, "preview": HOSTILE, "certainty": 0.98}]
        return {
            "bit": j,
            "ones": 0.25 + j / 40,
            "alone": 0.9 - j / 20,
            "most_alike": {"bit": (j + 1) % N_BITS, "correlation": 0.31},
            "for_one": [{"word": "harbour", "weight": 2.5}, {"word": HOSTILE, "weight": 1.5}],
            "for_zero": [{"word": "oven", "weight": 2.0}],
            "surest_one": surest,
            "surest_zero": surest,
        }

    wanted = range(N_BITS) if bit is None else [bit]
    return {"n_bits": N_BITS, "n_items": 80, "bits": [one(j) for j in wanted]}


def code_map(ids, field=None, n=None):
    """A map on which these ids lie on a circle, or n items in a cloud."""
    if n:
        places = np.random.default_rng(0).normal(0.5, 0.15, (n, 2)).clip(0, 1)
        ids = [str(i) for i in range(n)]
    else:
        angles = np.linspace(0, 2 * np.pi, len(ids), endpoint=False)
        places = 0.5 + 0.45 * np.stack([np.cos(angles), np.sin(angles)], 1)
    values = [(HOSTILE, "kitchen", "space")[i % 3] for i in range(len(ids))]
    return {
        "n_items": len(ids),
        "shown": len(ids),
        "ids": ids,
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "field": field,
        "values": values if field else None,
    }


def duplicates():
    """Two groups, of which one is shown at first."""
    items = [
        {"id": HOSTILE, "distance": 0, "similarity": 1.0, "metadata": {HOSTILE: HOSTILE}},
        {"id": "notes/copy", "distance": 1, "similarity": 0.99, "metadata": {}},
    ]
    group = {"keep": HOSTILE, "items": [item | {"preview": HOSTILE} for item in items]}
    return {"radius": 2, "groups": [group], "n_groups": 2, "more": True}


def thumbnail():
    """A small picture as WebP."""
    file = io.BytesIO()
    shades = np.linspace(0, 255, 64 * 48, dtype=np.uint8).reshape(48, 64)
    Image.fromarray(shades).save(file, "webp")
    return file.getvalue()


def answering(**answers):
    """A handler of a route of Playwright that gives the answer whose name the path ends with."""

    def handle(route):
        name = route.request.url.partition("/v1/")[2].partition("?")[0]
        if name.startswith("thumbnail/"):
            route.fulfill(body=thumbnail(), content_type="image/webp")
            return
        answer = answers[name.replace("/", "_")]
        told = answer(route.request) if callable(answer) else answer
        status, told = told if isinstance(told, tuple) else (200, told)
        route.fulfill(status=status, body=json.dumps(told), content_type="application/json")

    return handle
