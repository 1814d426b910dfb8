"""What are the steps of a payload? An array, a list or a string becomes numbers or tokens.

What was given decides (`given_of`), and then the unit of the spec: a string of digits is a row of
numbers to one collection and of tokens to another.
"""

from __future__ import annotations

import json
import struct
from numbers import Real
from typing import Any

import numpy as np

from hashret.errors import DamagedError, PayloadError
from hashret.specs.features import MOST_NUMBERS, SequenceSpec
from hashret.unicode_text import preview_of

#: The most steps of a sequence, whatever counts of it: a longer one is rather several.
MAX_STEPS = 1 << 20
#: The longest string, in bytes of UTF-8: as the longest text.
MAX_BYTES = 16 << 20

#: What a payload is: a string, a list of tokens, or numbers (n_steps, width) of the type given.
Given = str | list[str] | np.ndarray

_SHOWN = 8  # numbers of a preview
_SHOWN_TOKENS = 200  # as many as there are characters in a preview
#: Before the numbers that are kept: their type, the number of steps, and their width.
_HEAD = struct.Struct("<3sQQ")
_KEPT = {"<f4", "<i8"}


def given_of(payload: Any) -> Given:
    """What a payload is, of numbers an array (n_steps, width), as they were given.

    Raises `PayloadError` for what is no sequence, for one without a step, and for one that is
    longer than any may be.
    """
    if isinstance(payload, str):
        if not payload or payload.isspace():
            raise _empty()
        # no character has more than 4 bytes
        if (
            4 * len(payload) > MAX_BYTES
            and (size := len(payload.encode("utf-8", "surrogatepass"))) > MAX_BYTES
        ):
            raise _too_large(f"{MAX_BYTES:,} bytes of UTF-8", f"{size:,}")
        return payload
    if hasattr(payload, "detach"):  # a tensor of torch, which may have a gradient or be on a GPU
        payload = payload.detach().cpu()
    if hasattr(payload, "__array__"):
        found = _of_array(np.asarray(payload))
    elif isinstance(payload, list | tuple):
        found = _of_list(payload)
    else:
        raise PayloadError(
            f"sequence: expected an array, a list of steps or a string, got "
            f"{type(payload).__name__}; pass an array (steps, numbers) or a list of tokens"
        )
    if not len(found) or (isinstance(found, np.ndarray) and not found.size):
        raise _empty()
    if len(found) > MAX_STEPS:
        raise _too_large(f"{MAX_STEPS:,} steps", f"{len(found):,}")
    if isinstance(found, np.ndarray) and found.size > MOST_NUMBERS:
        raise _too_large(f"{MOST_NUMBERS:,} numbers", f"{found.size:,}")
    return found


def numbers_of(payload: Any, spec: SequenceSpec) -> np.ndarray:
    """The numbers of the steps that count, (at most `spec.longest`, width) float32.

    Raises `PayloadError` as `given_of`, and for tokens that are no numbers, steps of another width,
    and numbers that are not finite in float32.
    """
    given = given_of(payload)
    if isinstance(given, str):
        given = given.replace(",", " ").split()
    if isinstance(given, list):
        given = np.array([[_number(token)] for token in given])
    if given.shape[1] != spec.width:
        raise PayloadError(
            f"sequence: expected {_numbers(spec.width)} in each step, got {given.shape[1]}; "
            "give what the collection's sequences have",
            "wrong-width",
        )
    return _finite(given[: spec.longest])


def tokens_of(payload: Any, spec: SequenceSpec) -> list[str]:
    """The tokens that count, at most `spec.longest`; numbers as they are written in digits.

    Raises `PayloadError` as `given_of`, and for steps of several numbers or of none that is finite.
    """
    given = given_of(payload)
    if isinstance(given, str):
        is_cut = spec.unit == "tokens"
        found = given.split() if is_cut else list(given.strip().replace("\r\n", "\n"))
        return found[: spec.longest]
    if isinstance(given, list):
        return given[: spec.longest]
    if given.shape[1] != 1:
        raise PayloadError(
            f"sequence: expected a token in each step, as the collection's have, got "
            f"{given.shape[1]} numbers; leave it out",
            "mixed-steps",
        )
    part = given[: spec.longest, 0]
    _finite(part[:, None])
    return [str(int(one) if one == int(one) else one) for one in part.tolist()]


def as_bytes(given: Given) -> bytes:
    """What was given as bytes, which `of_bytes` reads; numbers in float32, or in int64.

    Raises `PayloadError` for numbers that are not finite.
    """
    if isinstance(given, str):
        return b"s" + given.encode("utf-8", "surrogatepass")
    if isinstance(given, list):
        return b"t" + json.dumps(given).encode("ascii")
    is_whole = given.dtype.kind in "iu" and given.max() <= np.iinfo(np.int64).max
    numbers = given.astype("<i8") if is_whole else _finite(given).astype("<f4")
    return b"n" + _HEAD.pack(numbers.dtype.str.encode(), *numbers.shape) + numbers.tobytes()


def of_bytes(data: bytes) -> Given:
    """What `as_bytes` was given. Raises `DamagedError`."""
    try:
        if data[:1] == b"s":
            return data[1:].decode("utf-8", "surrogatepass")
        if data[:1] == b"t":
            found = json.loads(data[1:])
            if isinstance(found, list) and all(isinstance(one, str) for one in found):
                return found
        elif data[:1] == b"n":
            name, n_steps, width = _HEAD.unpack_from(data, 1)
            if (dtype := name.decode("ascii")) in _KEPT:
                numbers = np.frombuffer(data, dtype, offset=1 + _HEAD.size)
                return numbers.reshape(n_steps, width)
    except (ValueError, struct.error, RecursionError):
        pass
    raise DamagedError(
        "payload: expected a sequence as it was kept, got other bytes; index the collection again"
    )


def preview_of_steps(payload: Any) -> str:
    """The first tokens, or how many numbers there are and the first of them."""
    given = given_of(payload)
    if isinstance(given, str):
        return preview_of(given)
    if isinstance(given, list):
        return preview_of(" ".join(given[:_SHOWN_TOKENS]))
    n_steps, width = given.shape
    steps = f"{n_steps:,} step{'s' * (n_steps != 1)} of {_numbers(width)}"
    first = " ".join(f"{one:.4g}" for one in given.ravel()[:_SHOWN].tolist())
    return f"{steps}: {first}" + " ..." * (given.size > _SHOWN)


def _of_array(array: np.ndarray) -> Given:
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.ndim == 1 and array.dtype.kind in "UO":
        return _of_list(array.tolist())
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise PayloadError(
            f"sequence: expected numbers (steps, width) or (steps,), or tokens (steps,), got "
            f"{array.dtype} of shape {array.shape}; pass one sequence as one array",
            "bad-payload",
        )
    return array.reshape(len(array), -1 if len(array) else 1)


def _of_list(steps: Any) -> Given:
    if all(isinstance(one, str) for one in steps):
        return list(steps)
    rows = [one.tolist() if hasattr(one, "tolist") else one for one in steps]
    if all(isinstance(one, Real) for one in rows):
        rows = [[one] for one in rows]
    for place, row in enumerate(rows):
        if not isinstance(row, list | tuple) or not all(isinstance(one, Real) for one in row):
            raise PayloadError(
                "sequence: expected only tokens, only numbers or only lists of numbers as steps, "
                f"got {row!r:.60} as step {place}; make them alike",
                "mixed-steps",
            )
        if len(row) != len(rows[0]):
            raise PayloadError(
                f"sequence: expected {_numbers(len(rows[0]))} in each step, as in the first, got "
                f"{len(row)} in step {place}; fill in what is missing",
                "mixed-steps",
            )
    array = np.array(rows)
    # an integer beyond 64 bits makes an array of objects
    return array if array.dtype.kind in "biuf" else array.astype(np.float64)


def _number(token: str) -> float:
    try:
        return float(token)
    except ValueError:
        raise PayloadError(
            f"sequence: expected numbers, as the collection's are, got the token {token!r:.60}; "
            "leave it out",
            "mixed-steps",
        ) from None


def _finite(numbers: np.ndarray) -> np.ndarray:
    """The numbers (n_steps, width) as float32. Raises `PayloadError` if some are not finite."""
    with np.errstate(over="ignore"):
        found = numbers.astype(np.float32)
    sound = np.isfinite(found).all(axis=1)
    if not sound.all():
        raise PayloadError(
            "sequence: expected finite numbers (in float32), got NaN or infinity in step "
            f"{int(np.argmin(sound))}; fill it in, or leave the sequence out",
            "not-finite",
        )
    return found


def _numbers(n: int) -> str:
    return f"{n:,} number{'s' * (n != 1)}"


def _empty() -> PayloadError:
    return PayloadError(
        "sequence: expected at least one step, got none; leave it out", "empty-sequence"
    )


def _too_large(most: str, got: str) -> PayloadError:
    return PayloadError(f"sequence: expected at most {most}, got {got}; split it", "too-large")
