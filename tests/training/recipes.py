"""Recipes made small for tests: the same code, quickly."""

import dataclasses
from typing import Any

from indexer.training.presets import PRESETS
from indexer.training.recipe import Recipe


def changed(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with some settings changed, each in the part of it that has such a setting.

    Settings that neither the recipe nor a part of it has are left out, so that one call fits all
    presets.
    """
    for field in dataclasses.fields(recipe):
        part = getattr(recipe, field.name)
        if field.name in changes:
            recipe = dataclasses.replace(recipe, **{field.name: changes[field.name]})
        elif dataclasses.is_dataclass(part):
            names = {one.name for one in dataclasses.fields(part)} & set(changes)
            new = dataclasses.replace(part, **{name: changes[name] for name in names})
            recipe = dataclasses.replace(recipe, **{field.name: new})
    return recipe


def change(patch: Any, kind: str, preset: str, **changes: Any) -> None:
    """Change a preset as `changed` does, by a pytest.MonkeyPatch."""
    row = PRESETS[kind][preset]
    patch.setitem(PRESETS[kind], preset, row._replace(recipe=changed(row.recipe, **changes)))


def change_all(patch: Any, **changes: Any) -> None:
    """Change the presets of the deep autoencoder, for all kinds of items."""
    for kind, rows in PRESETS.items():
        for preset, row in rows.items():
            if row.trainer == "autoencoder":
                change(patch, kind, preset, **changes)
