"""How codes are learned: the options that say it to index, retrain and tune."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from hashret.cli.files import read_text
from hashret.kinds import KINDS, kind_of
from hashret.outside.outputs import require_outside
from hashret.specs import SequenceSpec, VectorSpec
from hashret.specs.encoders import INVARIANCES
from hashret.specs.features import MOST_STEPS, UNITS
from indexer.training.options import AS_GIVEN, Multiples, TrainingOptions
from indexer.training.presets import PRESETS, preset_for, require_used

if TYPE_CHECKING:
    from indexer.training import Watcher

#: The seeds that torch accepts: integers from 0 to 2**63 - 1.
SEED = click.IntRange(0, 2**63 - 1)


def code_length(given: str) -> int:
    """The bits of a code, as --bits takes them; BadParameter for what no learned code has."""
    if given not in map(str, range(8, 513, 8)):
        raise click.BadParameter(f"expected 8 to 512 in steps of 8, got {given}")
    return int(given)


def _invariances(
    ctx: click.Context, parameter: click.Parameter, given: str | None
) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = [name.strip() for name in given.split(",")]
    if names == ["none"]:
        return ()
    if not set(names) <= set(INVARIANCES) or len(set(names)) < len(names):
        raise click.BadParameter(f"expected {', '.join(INVARIANCES)} or none, got {given!r}")
    return tuple(name for name in INVARIANCES if name in names)


_LEARNING: tuple[Callable[..., Any], ...] = (
    click.option(
        "--bits",
        type=code_length,
        metavar="8..512",
        help="Bits in a code, a multiple of 8.  [default: 64; with --packed-bits, all of them; of "
        "`retrain`, as the model before]",
    ),
    click.option(
        "--preset",
        metavar="NAME",
        help="How to learn, as `hashret presets` lists.  [default: "
        + ", ".join(f"{next(iter(names))} for {kind}s" for kind, names in PRESETS.items() if names)
        + "; with --packed-bits identity, which learns nothing; of `retrain`, as the model before]",
    ),
    click.option(
        "--invariant",
        callback=_invariances,
        metavar="mirror,rotation",
        help="Give an image and its mirror image, or the image turned by quarters, the same code; "
        "none stands for neither.  [default: as the model before, else none]",
    ),
    click.option(
        "--label",
        metavar="FIELD",
        help="Learn from labels too: items with the same value of this metadata field get like "
        "codes, also where only some have one.  [default: no label is looked at]",
    ),
    click.option(
        "--quick",
        "preset",
        flag_value="quick",
        help="Learn from texts in a third of the time, for slightly worse codes: --preset quick.",
    ),
    click.option(
        "--no-decoder",
        "decoder",
        flag_value=False,
        type=bool,
        default=None,
        help="Learn no decoder, with which `decode`, `generate` and others show what a code says.",
    ),
    click.option(
        "--recipe",
        type=click.Path(path_type=Path),
        help="Train with the settings in this file, which `hashret tune --write` made.",
    ),
)


def learning_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a model is learned to a verb; `Learning` takes their values."""
    for option in reversed(_LEARNING):
        verb = option(verb)
    return verb


@dataclass(frozen=True, slots=True)
class Learning:
    """How a model is to be learned, by the values of `learning_options`; None: not said."""

    bits: int | None
    preset: str | None
    invariant: tuple[str, ...] | None
    label: str | None
    decoder: bool | None
    recipe: Path | None

    @classmethod
    def taken(cls, said: dict[str, Any]) -> Self:
        """What the values say, which are removed from `said`."""
        return cls(**{field.name: said.pop(field.name) for field in fields(cls)})

    def options(self, kind: str, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The `TrainingOptions` for items of this kind, by name; None: not said.

        `before` are those that a former model was made with: what is not said stays as it was.
        Raises UsageError for what the preset can't do, and for another preset than the recipe's.
        """
        chosen = self._as_before(kind, before or {})
        if self.invariant or self.label is not None:
            preset = preset_for(kind, self.preset or chosen.get("preset"))
            wanted = TrainingOptions(invariant=self.invariant, label=self.label, preset=preset)
            try:
                require_used(kind, wanted)
            except ValueError as error:
                raise click.UsageError(f"--{error}") from error
        said: dict[str, Any] = {
            "n_bits": self.bits,
            "preset": self.preset,
            "invariant": self.invariant,
            "label": self.label,
            "decoder": self.decoder,
        }
        if self.recipe is not None:
            said |= _of_recipe(self.recipe, kind, self.preset)
        return said | chosen

    def _as_before(self, kind: str, before: Mapping[str, Any]) -> dict[str, Any]:
        """What of a former model's options is not said otherwise.

        That is its bits, and its preset with what a recipe set. Packed bits that were taken as they
        are, and a preset that there is no more, say nothing.
        """
        preset = before.get("preset")
        if preset == AS_GIVEN or preset not in PRESETS[kind]:
            return {}
        kept: dict[str, Any] = {}
        if self.bits is None:
            kept["n_bits"] = before["n_bits"]
        if self.recipe is None and self.preset in (None, preset):
            kept |= {"preset": preset, "multiples": Multiples(**before.get("multiples", {}))}
            kept |= {name: before.get(name) for name in ("epochs", "neighbours", "rounds")}
        return kept


def _of_recipe(path: Path, kind: str, preset: str | None) -> dict[str, Any]:
    """The settings of a recipe; UsageError if it is for another preset than --preset names."""
    from indexer.tuning.recipes import read_recipe

    found = read_recipe(read_text(path, "a recipe of `hashret tune --write`"), kind)
    if preset not in (None, found["preset"]):
        raise click.UsageError(
            f"--preset: expected {found['preset']} as {path} says, got {preset}; leave it out"
        )
    return found


metric_option = click.option(
    "--metric",
    type=click.Choice(list(dict.fromkeys(m for kind in KINDS.values() for m in kind.metrics))),
    help="Which vectors count as near: cosine (their length is ignored) or euclidean.  [default: "
    "cosine]",
)
packed_option = click.option(
    "--packed-bits",
    "packed",
    is_flag=True,
    help="Vectors are packed binary embeddings: each uint8 or int8 holds 8 bits.",
)
steps_option = click.option(
    "--steps",
    "unit",
    type=click.Choice(UNITS),
    help="What the steps of sequences are: numbers; tokens (of a string: cut at white space); or "
    "the characters of a string.  [default: what most items are]",
)
longest_option = click.option(
    "--longest",
    type=click.IntRange(1, MOST_STEPS),
    metavar="N",
    help="Steps of a sequence that count; of longer ones the first so many.  [default: 512]",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where training runs; auto takes a GPU if there is one.",
)
log_dir_option = click.option(
    "--log-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write how the training goes into this folder, for TensorBoard.  [default: nowhere]",
)


def vector_spec(kind: str, metric: str | None, packed: bool) -> VectorSpec | None:
    """The vector features that --metric or --packed-bits choose; None if neither is given.

    Raises `click.UsageError` for items of another `kind`, and if both are given.
    """
    given = "--metric" if metric else "--packed-bits" if packed else None
    if given is None:
        return None
    if not kind_of(kind).metrics:
        raise click.UsageError(f"{given}: expected items of kind vector, got {kind}; leave it out")
    if metric and packed:
        raise click.UsageError(
            "--metric: expected none with --packed-bits, whose distance is Hamming's; leave it out"
        )
    return VectorSpec(metric=metric) if metric else VectorSpec(packed=True)


def sequence_spec(kind: str, unit: str | None, longest: int | None) -> SequenceSpec | None:
    """The features of sequences that --steps or --longest choose; None if neither is given.

    Raises `click.UsageError` for items of another `kind`, and for numbers that can't be.
    """
    if unit is None and longest is None:
        return None
    if not kind_of(kind).of_steps:
        given = "--steps" if unit else "--longest"
        raise click.UsageError(
            f"{given}: expected items of kind sequence, got {kind}; leave it out"
        )
    spec = SequenceSpec(unit or "")
    return spec if longest is None else replace(spec, longest=longest)


@contextmanager
def watchers_of(log_dir: Path | None) -> Iterator[list[Watcher]]:
    """Who watches a training: TensorBoard's events are written to `log_dir`, if that is given.

    Raises `InputError` for a folder within a collection, or that can't be written to.
    """
    if log_dir is None:
        yield []
        return
    require_outside(log_dir / "events", "the events of TensorBoard")
    from indexer.training.watching.tensorboard import TensorBoard  # it loads torch

    with closing(TensorBoard(log_dir)) as watcher:
        yield [watcher]
