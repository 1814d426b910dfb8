"""What the writing verbs show: progress bars, the stages of training, notes.

Only the closing line goes to standard output; all else goes to standard error. Progress bars are
drawn on a terminal only, and only for stages that take longer than a second.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import click

from hashret.cli.group import shown
from indexer.ingest.counts import Progress, silent

if TYPE_CHECKING:
    from indexer.training import TrainingReport

_PATIENCE = 1.0  # seconds that a stage runs before it gets a progress bar


def say(message: str) -> None:
    """Write one line to standard error; control characters in it are shown as escapes."""
    click.echo(shown(message), err=True)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Progress]:
    """Yield a callback that draws a progress bar for each stage; one that is silent off a terminal.

    Each bar shows the rate and the time left.
    """
    if quiet or not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Task as RichTask
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: RichTask) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "")

    bars = Progress(
        TextColumn("{task.description:12}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    began: dict[str, float] = {}
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: int, total: int | None) -> None:
        now = monotonic()
        if stage not in tasks:
            if now - began.setdefault(stage, now) < _PATIENCE:
                return
            for other in tasks.values():
                bars.update(other, visible=False)
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    with bars:
        yield show


def show_training(report: TrainingReport) -> None:
    """Show the stages of a training as a table."""
    say(
        f"{'stage':24} {'seconds':>7} {'loss':>9} {'noise':>6} {'saturated':>9} "
        f"{'ones per bit':>16} {'distinct':>9} {'recall':>6}"
    )
    for stage in report.stages:
        low, mean, high = stage.bit_balance or (None, None, None)
        balance = "" if low is None else f"{low:.2f} {mean:.2f} {high:.2f}"
        say(
            f"{stage.stage:24} {stage.seconds:7.1f} {_cell(stage.loss, '9.4f')} "
            f"{_cell(stage.noise, '6.2f')} {_cell(stage.saturated, '9.3f')} "
            f"{balance:>16} {_cell(stage.n_distinct, '9d')} {_cell(stage.recall, '6.3f')}"
        )


def _cell(value: float | None, form: str) -> str:
    return " " * int(form.split(".")[0].rstrip("df")) if value is None else format(value, form)


def show_times(seconds: Mapping[str, float]) -> None:
    """Show the seconds that each step took, the longest first."""
    parts = sorted(seconds.items(), key=lambda pair: -pair[1])
    said = [f"{name} {spent:.1f} s" for name, spent in parts if spent >= 0.05]
    if said:
        say(f"time: {', '.join(said)}")


def show_guesses(guesses: Counter[str]) -> None:
    """Show how many files were read in a guessed encoding, the most frequent encoding first."""
    if guesses:
        found = ", ".join(f"{encoding} {n}" for encoding, n in guesses.most_common())
        files = "file was" if guesses.total() == 1 else "files were"
        say(
            f"{guesses.total()} {files} read in a guessed encoding: {found}; "
            "--encoding NAME sets it"
        )
