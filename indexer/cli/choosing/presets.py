"""The verb `hashret presets`: the ways in which codes can be learned, in one table."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

import click

from indexer.cli.choosing.preset_figures import FIGURES, SETS
from indexer.training.presets import PRESETS

#: What each preset is for, in the order of the table; docs/family.md says more.
PURPOSES = {
    "dense": "linear layers; the decoder mirrors the encoder",
    "patches": "linear layers over filters that are learned from patches of the images",
    "conv": "convolutions over the pixels, the images shifted, mirrored and brightened",
    "towers": "for vectors whose distances are right: codes that keep who is near",
    "quick": "dense in a third of the time",
    "variational": "a variational autoencoder, cut into bits: to compare with",
    "bernoulli": "bits drawn by their probabilities, no schedule of noise: the plainest training",
    "rounded": "bits from the first step on, rounded: to compare with",
    "sparse": "few hidden units active for an item: for asking what each of them means",
    "denoising": "twice as much masked: for queries that are poorer than the items",
    "contractive": "hidden units that change little with the input: for small differences in it",
    "recirculation": "layers that begin without back-propagation: to compare with",
    "rebuilding": "the item alone, not its neighbours: for codes that decode turns back",
    "recursive": "one cell joins steps in pairs, up a tree: for items whose order is the matter",
    "recurrent": "a gated cell takes step after step: for items whose order is the matter",
    "identity": "learns nothing: packed bits are taken as they are",
}

#: For each kind of items, the data set whose figures are shown.
_SHOWN = {kind: name for name, (kind, _) in reversed(SETS.items())}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def presets(as_json: bool) -> None:
    """List the presets, which are the ways in which codes can be learned.

    For each: the kinds of items that it is for, what it costs in precision there, and what to take
    it for. One that is not the default is chosen by `hashret index --preset`.
    """
    if as_json:
        click.echo(json.dumps({"presets": [_described(name) for name in _names()]}))
        return
    for line in _table():
        click.echo(line)


def _names() -> list[str]:
    """The names of the presets that some kind has, in the order of the table."""
    return [name for name in PURPOSES if any(name in rows for rows in PRESETS.values())]


def _described(name: str) -> dict[str, Any]:
    kinds = [kind for kind, rows in PRESETS.items() if name in rows]
    return {
        "name": name,
        "for": PURPOSES[name],
        "kinds": {
            kind: {"default": name == next(iter(PRESETS[kind])), **_figure(kind, name)}
            for kind in kinds
        },
    }


def _figure(kind: str, name: str) -> dict[str, Any]:
    """The measured figure of a preset for a kind; nothing if it was not measured."""
    data_set = _SHOWN.get(kind, "")
    value = FIGURES.get(data_set, {}).get(name)
    return {} if value is None else {"set": data_set, "measure": SETS[data_set][1], "figure": value}


def _table() -> Iterator[str]:
    kinds = [kind for kind, rows in PRESETS.items() if rows]
    width = max(map(len, _names())) + 2
    columns = [max(8, len(kind) + 2) for kind in kinds]
    head = "".join(f"{kind:<{column}}" for kind, column in zip(kinds, columns, strict=True))
    yield f"{'preset':<{width}}{head}what for"
    indent = width + sum(columns)
    room = max(20, shutil.get_terminal_size((100, 24)).columns - indent - 1)
    for name in _names():
        cells = [_cell(kind, name) for kind in kinds]
        padded = "".join(f"{cell:<{column}}" for cell, column in zip(cells, columns, strict=True))
        first, *rest = textwrap.wrap(PURPOSES[name], room)
        yield f"{name:<{width}}{padded}{first}"
        for line in rest:
            yield " " * indent + line
    yield ""
    yield "* the default of a kind; of others the difference from it, or yes if not measured."
    shown = [
        f"{kind}: {SETS[_SHOWN[kind]][1]} on {_SHOWN[kind]}" for kind in kinds if kind in _SHOWN
    ]
    yield f"{'; '.join(shown)}; 64 bits. Below .01 a difference says little."


def _cell(kind: str, name: str) -> str:
    """What stands in the column of a kind: "" if the kind has no such preset."""
    rows = PRESETS[kind]
    if name not in rows:
        return ""
    default = next(iter(rows))
    figure, of_default = _figure(kind, name).get("figure"), _figure(kind, default).get("figure")
    if name == default:
        return "yes*" if figure is None else f"{_short(figure)}*"
    if figure is None or of_default is None:
        return "yes"
    return f"{figure - of_default:+.3f}".replace("0.", ".")


def _short(figure: float) -> str:
    return f"{figure:.3f}".removeprefix("0")
