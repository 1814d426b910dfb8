"""The verb `hashret retrain`: a new model from what the collection holds, without its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hashret.cli.output import collection_argument, wait_option
from indexer.cli.console import progress_bars, say, show_times, show_training, verbose_option
from indexer.cli.learning import (
    SEED,
    Learning,
    device_option,
    learning_options,
    log_dir_option,
    watchers_of,
)


@click.command()
@collection_argument
@learning_options
@click.option("--seed", type=SEED, metavar="N", help="Seed of the training.  [default: 0]")
@device_option
@log_dir_option
@wait_option
@verbose_option
@click.option("-q", "--quiet", is_flag=True, help="Show only warnings and the closing line.")
def retrain(
    collection: Path,
    seed: int | None,
    device: str,
    log_dir: Path | None,
    wait: float,
    verbose: bool,
    quiet: bool,
    **learning: Any,
) -> None:
    """Learn a new model from what COLLECTION stores, and encode all of it again.

    No source is needed: the texts or images that it stores are learned from, or the features.
    Codes have as many bits as before and are learned as before, unless options say otherwise.
    Processes that have the collection open go on with the former model until they refresh.
    """
    from hashret.store.layout import Layout
    from indexer.training.options import TrainingOptions
    from indexer.writer import Indexer

    shown: set[str] = set()

    def on_note(note: str) -> None:
        shown.add(note)
        say(note)

    Layout.find(collection)  # never create one just to train it
    with (
        progress_bars(quiet) as on_progress,
        Indexer(collection, wait_seconds=wait, on_progress=on_progress, on_note=on_note) as indexer,
    ):
        before = indexer.description.get("training", {}).get("options", {})
        given = Learning.taken(learning).options(indexer.kind, before) | {"seed": seed}
        chosen = {name: value for name, value in given.items() if value is not None}
        with watchers_of(log_dir) as watchers:
            options = TrainingOptions(**chosen, device=device)
            report = indexer.fit(None, options, watchers=watchers)
        commit = indexer.commit()
    show_training(report, shown, quiet=quiet, verbose=verbose)
    if not quiet:
        show_times(indexer.stopwatch.seconds)
    without = f", {commit.n_uncoded} of them without a code" if commit.n_uncoded else ""
    click.echo(f"encoded {indexer.tally.encoded_again} items again{without}")
    say(f"{collection}: commit {commit.commit}, {commit.n_items} items")
