"""A tuned setting as a file (a recipe), which `hashret tune` writes and `hashret index` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hashret.errors import InputError
from indexer.training.options import Multiples, TrainingOptions
from indexer.training.presets import preset_for, require_used
from indexer.tuning.tuner import TuningReport

_FORMAT = 1  # the version of the file's format


def recipe_of(report: TuningReport) -> str:
    """The recipe with the setting that a tuning chose, as JSON text."""
    options = report.options()
    recipe = {
        "recipe": _FORMAT,
        "kind": report.kind,
        "preset": options.preset,
        "rounds": options.rounds,
        "multiples": asdict(options.multiples),
    }
    return json.dumps(recipe, indent=2) + "\n"


def read_recipe(text: str, kind: str) -> dict[str, Any]:
    """The `preset`, `rounds` and `multiples` of a recipe, as `TrainingOptions` takes them.

    Raises InputError for anything else than a recipe for items of this kind.
    """
    try:
        recipe = json.loads(text)
        if recipe["recipe"] != _FORMAT:
            raise InputError(
                f"recipe: expected format {_FORMAT}, got {recipe['recipe']!r}; "
                "use the hashret that wrote it"
            )
        if recipe["kind"] != kind:
            raise InputError(
                f"recipe: expected one for items of kind {kind}, got {recipe['kind']!r}; "
                "tune on items of this kind"
            )
        _require_types(recipe["rounds"], recipe["multiples"])
        found = {
            "preset": preset_for(kind, recipe["preset"]),
            "rounds": recipe["rounds"],
            "multiples": Multiples(**recipe["multiples"]),
        }
        require_used(kind, TrainingOptions(**found))
    except (KeyError, TypeError, ValueError) as error:  # a JSON error is a ValueError
        raise InputError(
            f"recipe: expected what `hashret tune --write` writes, got {text[:40]!r} ({error}); "
            "write it again"
        ) from error
    return found


def _require_types(rounds: Any, multiples: Mapping[str, Any]) -> None:
    if rounds is not None and type(rounds) is not int:
        raise TypeError(f"rounds: expected a whole number or null, got {rounds!r}")
    for name, value in dict(multiples).items():
        if type(value) not in (int, float):
            raise TypeError(f"multiples: expected a number of {name}, got {value!r}")
