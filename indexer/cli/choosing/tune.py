"""The verb `hashret tune`: it chooses settings of training for some files, without labels."""

from __future__ import annotations

import json
import re
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.files import written
from hashret.cli.output import NumberRange, json_option
from hashret.kinds import KINDS
from indexer.cli.console import progress_bars, say, show_columns, show_guesses
from indexer.cli.learning import (
    SEED,
    code_length,
    device_option,
    metric_option,
    packed_option,
    vector_spec,
)
from indexer.cli.outputs import require_output
from indexer.cli.reading import reading_of, reading_options, with_stdin

if TYPE_CHECKING:
    from indexer.tuning import Setting, TuningReport

_RECIPE = "the recipe (--write)"
#: The beginning of a recipe, by which an earlier one is recognised.
_BEGINNING = re.compile(r'\s*\{\s*"recipe":')


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice([name for name, row in KINDS.items() if row.tunes]),
    help="What the items are.  [default: guessed from the files]",
)
@click.option(
    "--bits",
    "lengths",
    type=code_length,
    multiple=True,
    metavar="8..512",
    help="Bits in a code, a multiple of 8; repeat it to try several lengths.  [default: 64]",
)
@click.option(
    "--seconds",
    type=NumberRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for all trials together.",
)
@click.option("--preset", metavar="NAME", help="How to learn, as in `hashret index --preset`.")
@metric_option
@packed_option
@click.option(
    "--seed",
    type=SEED,
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of the training, as in `hashret index --seed`.",
)
@device_option
@reading_options
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that read.  [default: one fewer than the cores]",
)
@click.option(
    "--write",
    type=click.Path(path_type=Path),
    help="Write the chosen settings to this file, for `hashret index --recipe`.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress bars.")
@json_option
def tune(
    sources: tuple[Path, ...],
    kind: str | None,
    lengths: tuple[int, ...],
    seconds: float,
    preset: str | None,
    metric: str | None,
    packed: bool,
    seed: int,
    device: str,
    workers: int | None,
    write: Path | None,
    quiet: bool,
    as_json: bool,
    **reading: Any,
) -> None:
    """Try settings of training on a sample of SOURCES and choose the best, without labels.

    No collection is written. The default settings are tried first; others are chosen only if they
    are clearly better. `hashret index --recipe` uses what --write has written.
    """
    began = monotonic()
    from indexer import corpus
    from indexer.ingest.prepare import default_workers
    from indexer.tuning import tune as choose
    from indexer.tuning.recipes import recipe_of

    named = sources
    sources, how = with_stdin(sources, reading_of(reading))
    chosen_kind = kind or corpus.infer_kind(sources, how)
    spec = vector_spec(chosen_kind, metric, packed)
    if write is not None:
        require_output(write, _RECIPE, _BEGINNING, sources, chosen_kind)
    with progress_bars(quiet) as on_progress:
        report = choose(
            corpus.read(sources, chosen_kind, how, workers=workers or default_workers()),
            chosen_kind,
            n_bits=lengths or (64,),
            seconds=max(seconds - (monotonic() - began), 1e-3),  # loading has taken its part
            preset=preset,
            seed=seed,
            device=device,
            spec=spec,
            on_progress=on_progress,
        )
    show_guesses(how.guesses)
    show_columns(how)
    for warning in report.warnings:
        say(f"warning: {warning}")
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        _show(report)
    if write is not None:  # after the result is shown, which a full disk must not hide
        with written(write, _RECIPE) as recipe:
            recipe.write(recipe_of(report))
    _say_what_next(report, named, write)


def _show(report: TuningReport) -> None:
    names = [name for name, value in report.chosen.to_json().items() if value is not None]
    click.echo("  " + " ".join(f"{name:>10}" for name in [*names, "bits", "quality", "seconds"]))
    for trial in report.trials:
        values = trial.setting.to_json()
        mark = "*" if trial.setting == report.chosen else " "
        cells = " ".join(f"{values[name]:>10g}" for name in names)
        click.echo(
            f"{mark} {cells} {trial.n_bits:>10} {trial.quality:>10.4f} {trial.seconds:>10.1f}"
        )


def _say_what_next(report: TuningReport, sources: tuple[Path, ...], write: Path | None) -> None:
    say(
        f"* chosen by training on {report.n_items} items and testing on {report.n_held_out} "
        f"others, in {report.seconds:.0f} of {report.budget:.0f} s"
    )
    if not report.complete:
        say("time ran out before all items were read; allow more --seconds to sample all of them")
    if report.chosen in report.not_tried:
        say("time ran out before the default was measured, so it stands; allow more --seconds")
    elif report.not_tried:
        say(f"time ran out before {len(report.not_tried)} settings were tried (more --seconds):")
        for setting in report.not_tried:
            changed = [f"{name} {value:g}" for name, value in _differing(report, setting)]
            say(f"  {', '.join(changed)}")
    source = " ".join(map(str, sources))
    if write is None:
        say("add --write FILE to save the settings for `hashret index --recipe FILE`")
    else:
        say(f"to use them: hashret index {source} --to COLLECTION --recipe {write}")


def _differing(report: TuningReport, setting: Setting) -> list[tuple[str, float]]:
    own, other = report.chosen.to_json(), setting.to_json()
    return [(name, value) for name, value in other.items() if value != own[name]]
