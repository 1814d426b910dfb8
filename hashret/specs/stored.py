"""Specs as JSON objects, and back; what a newer version wrote is refused and not misread.

`to_json` writes the class's `kind` with the fields. `from_json` finds the class by that kind and
refuses unknown kinds and fields.
"""

from __future__ import annotations

import dataclasses
import math
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hashret.errors import DamagedError, FormatVersionError
from hashret.specs.decoders import DecoderSpec
from hashret.specs.denoisers import DenoiserSpec
from hashret.specs.encoders import EncoderSpec
from hashret.specs.features import ImageSpec, SequenceSpec, TextSpec, VectorSpec

Spec = TextSpec | ImageSpec | VectorSpec | SequenceSpec | EncoderSpec | DecoderSpec | DenoiserSpec
_SPECS: dict[str, type[Any]] = {spec.kind: spec for spec in get_args(Spec)}


def to_json(spec: Spec) -> dict[str, Any]:
    """The spec as a JSON object: its kind and its fields."""
    return {"kind": spec.kind, **dataclasses.asdict(spec)}


def from_json(data: dict[str, Any]) -> Any:
    """The spec that `to_json` wrote.

    Raises FormatVersionError for an unknown kind or field, and DamagedError if a field is missing,
    or its value is of another type than declared, out of range or not finite.
    """
    fields = dict(data)
    kind = fields.pop("kind", None)
    if kind not in _SPECS:
        known = ", ".join(sorted(_SPECS))
        raise FormatVersionError(
            f"model: expected a spec of kind {known}, got {kind!r}; "
            "open it with the hashret that wrote it"
        )
    spec = _SPECS[kind]
    fields = {**getattr(spec, "ABSENT", {}), **fields}
    for name in getattr(spec, "DROPPED", ()):
        fields.pop(name, None)
    unknown = set(fields) - {field.name for field in dataclasses.fields(spec)}
    if unknown:
        raise FormatVersionError(
            f"model: a {kind!r} spec has no field {sorted(unknown)[0]!r}; "
            "open it with the hashret that wrote it"
        )
    hints = get_type_hints(spec)
    for name, value in fields.items():
        if not _fits(value, hints[name]):
            raise DamagedError(
                f"model: expected {name!r} of a {kind!r} spec to be of type {hints[name]}, "
                f"got {value!r:.80}; train it again"
            )
    try:
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        return spec(**given)
    except (TypeError, ValueError) as error:  # a field is missing, or out of range
        raise DamagedError(f"model: {error}; train it again") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of the type that a field is declared with, and finite."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_fits(one, inner) for one in value)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is hint
