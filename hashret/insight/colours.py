"""What colour has an item? One for each frequent value of a field, or a step of a scale.

The colours can be told apart with each of the usual kinds of colour blindness, and stand out from
light and from dark backgrounds; `tests/insight/test_colours.py` measures both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

#: Colours of values: found by a search for those that differ most from each other and from `OTHER`
#: under normal sight, deuteranopia and protanopia (Machado, Oliveira and Fernandes, "A
#: physiologically-based model for simulation of color vision deficiency", IEEE TVCG 2009), among
#: those whose luminance is between .125 and .42. Ten is as many as stay apart.
CATEGORIES = (
    "#0d94ff",
    "#dc0058",
    "#979723",
    "#ae0ac5",
    "#70ba81",
    "#277188",
    "#a16ec5",
    "#247500",
    "#98a9e3",
    "#514aff",
)
#: The colour of all other values, and of items without one.
OTHER = "#8c9096"
#: The ends and the middle of a scale: from blue to orange, which every kind of sight tells apart.
_SCALE = ((47, 111, 208), (154, 143, 154), (224, 123, 0))
#: Steps of a scale.
_STEPS = 11
#: Shares of the values that lie below, and above, the ends of a scale: a few strays don't fill it.
_STRAYS = 0.01
#: Longest name of a value in a legend, in characters.
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Colouring:
    """Which colour each of m items has, and what the colours mean."""

    numbers: np.ndarray
    """(m,) int64: which of the colours."""
    colours: tuple[str, ...]
    """As "#rrggbb"."""
    names: tuple[str, ...]
    """What each colour means; of a scale only the first and the last have a name."""
    counts: tuple[int, ...]
    """How many items have each colour."""
    is_scale: bool = False

    @property
    def n_steps(self) -> int:
        """How many of the colours are steps of a scale: all but that of items without a value."""
        return _STEPS if self.is_scale else 0


def coloured(values: Sequence[Any] | None, n: int) -> Colouring:
    """The colours of n items by their values of a field; all in one, without a name, for None.

    More numbers than there are colours make a scale, and so do as many dates (ISO 8601). Of other
    values the most frequent have a colour each; ties are broken by their names.
    """
    if values is None:
        return _counted(np.zeros(n, np.int64), (CATEGORIES[0],), ("",))
    there = [value for value in values if value is not None]
    if len(set(map(_key, there))) > len(CATEGORIES):
        for numbers_of, name in ((_number, _number_name), (_moment, _moment_name)):
            numbers = [None if value is None else numbers_of(value) for value in values]
            if sum(number is not None for number in numbers) == len(there):
                return _scale(numbers, name)
    return _categories(values)


def _key(value: Any) -> tuple[str, Any]:
    """Values that are equal in JSON have the same key: 1 and true have not."""
    return ("bool" if isinstance(value, bool) else "", value)


def _categories(values: Sequence[Any]) -> Colouring:
    keys = [None if value is None else _key(value) for value in values]
    counted = Counter(key for key in keys if key is not None)
    ranked = sorted(counted, key=lambda key: (-counted[key], str(key[1])))
    # where all the values but one have a colour, that one has the last
    place = {key: number for number, key in enumerate(ranked[: len(CATEGORIES)])}
    n_named = len(place)
    has_others, has_none = len(ranked) > n_named, None in keys
    numbers = np.array([place.get(key, n_named) if key else n_named for key in keys], np.int64)
    names = [_name(value) for _, value in place]
    colours = list(CATEGORIES[:n_named])
    if has_others or has_none:
        others = [f"{len(ranked) - n_named} other values"] if has_others else []
        names.append(" or ".join(others + ["none"] * has_none))
        colours.append(OTHER)
    return _counted(numbers, tuple(colours), tuple(names))


def _name(value: Any) -> str:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _scale(numbers: Sequence[float | None], name: Any) -> Colouring:
    known = np.array([number for number in numbers if number is not None])
    low = float(np.quantile(known, _STRAYS, method="lower"))
    high = float(np.quantile(known, 1.0 - _STRAYS, method="higher"))
    span = high - low or 1.0
    steps = np.array(
        [
            _STEPS if one is None else int(np.clip((one - low) / span * _STEPS, 0, _STEPS - 1))
            for one in numbers
        ],
        np.int64,
    )
    shares = np.linspace(0.0, 2.0, _STEPS)
    channels = [np.interp(shares, [0, 1, 2], channel) for channel in zip(*_SCALE, strict=True)]
    colours = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in np.rint(channels).astype(int).T.tolist()]
    first = name(low) if low == known.min() else f"{name(low)} or less"
    last = name(high) if high == known.max() else f"{name(high)} or more"
    names = [first, *[""] * (_STEPS - 2), last]
    if len(known) < len(numbers):
        colours.append(OTHER)
        names.append("none")
    return _counted(steps, tuple(colours), tuple(names), is_scale=True)


def _counted(
    numbers: np.ndarray, colours: tuple[str, ...], names: tuple[str, ...], *, is_scale: bool = False
) -> Colouring:
    counts = np.bincount(numbers, minlength=len(colours))
    return Colouring(numbers, colours, names, tuple(counts.tolist()), is_scale)


def _number(value: Any) -> float | None:
    """A number of the metadata; None for what is none, or too large for a scale."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None


def _number_name(number: float) -> str:
    return f"{number:.6g}"


def _moment(value: Any) -> float | None:
    """The seconds since 1970 of a date or time, in UTC if it says none; None for what is none."""
    if not isinstance(value, str) or not value[:1].isdigit() or "-" not in value:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _moment_name(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
