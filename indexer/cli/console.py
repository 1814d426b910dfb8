"""What the writing verbs show: progress, how a training went, notes.

Only the closing line goes to standard output; all else goes to standard error. Progress bars are
drawn on a terminal only, and only for stages that take longer than a second; elsewhere a line says
every half minute what is going on.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

import click

from hashret.cli.group import shown
from indexer.ingest.counts import Progress, silent

if TYPE_CHECKING:
    from indexer.corpus import Reading
    from indexer.training import TrainingReport

_PATIENCE = 1.0  # seconds that a stage runs before it gets a progress bar
_SIGN_OF_LIFE = 30.0  # seconds between two lines where there are no bars

verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Show the stages of the training too, as a table."
)


def say(message: str) -> None:
    """Write one line to standard error; control characters in it are shown as escapes."""
    click.echo(shown(message), err=True)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Progress]:
    """Yield a callback that draws a progress bar for each stage, with the rate and the time left.

    Off a terminal there is a line every half minute; if `quiet`, nothing.
    """
    if quiet:
        yield silent
        return
    if not sys.stderr.isatty():
        with _signs_of_life(_SIGN_OF_LIFE) as on_progress:
            yield on_progress
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


@contextmanager
def _signs_of_life(seconds: float) -> Iterator[Progress]:
    """Yield a callback; every so many seconds a line says what it was told last.

    A thread of its own says it, since a long stage may tell nothing for minutes.
    """
    told, began = "working", monotonic()
    ended = Event()

    def tell(stage: str, done: int, total: int | None) -> None:
        nonlocal told
        told = f"{stage}: {done:,}" + (f" of {total:,} ({100 * done // total}%)" if total else "")

    def talk() -> None:
        while not ended.wait(seconds):
            say(f"{told}, {monotonic() - began:.0f} s so far")

    talker = Thread(target=talk, daemon=True, name="signs of life")
    talker.start()
    try:
        yield tell
    finally:
        ended.set()
        talker.join()


def show_training(
    report: TrainingReport, said: Container[str], *, quiet: bool, verbose: bool
) -> None:
    """Show how a training went: warnings, and unless `quiet` a verdict; its stages if `verbose`.

    Warnings that were `said` already, before the training, are not said again.
    """
    from indexer.training.verdict import verdict_of  # after a training torch is loaded anyway

    if verbose:
        _show_stages(report)
    for warning in report.warnings:
        if (line := f"warning: {warning}") not in said:
            say(line)
    if not quiet and (verdict := verdict_of(report)):
        say(verdict)


def _show_stages(report: TrainingReport) -> None:
    """Show the stages of a training as a table, with the columns that some stage has."""
    columns: list[tuple[str, list[str]]] = [
        ("seconds", [f"{stage.seconds:.1f}" for stage in report.stages]),
        ("loss", [_cell(stage.loss, ".4f") for stage in report.stages]),
        ("noise", [_cell(stage.noise, ".2f") for stage in report.stages]),
        ("saturated", [_cell(stage.saturated, ".3f") for stage in report.stages]),
        ("ones per bit", [_balance(stage.bit_balance) for stage in report.stages]),
        ("distinct codes", [_cell(stage.n_distinct, ",d") for stage in report.stages]),
        ("recall", [_cell(stage.recall, ".3f") for stage in report.stages]),
    ]
    shown_columns = [(title, cells) for title, cells in columns if any(cells)]
    names = ["stage", *(stage.stage for stage in report.stages)]
    lines = [f"{name:{max(map(len, names))}}" for name in names]
    for title, cells in shown_columns:
        width = max(map(len, [title, *cells]))
        lines = [f"{line}  {x:>{width}}" for line, x in zip(lines, [title, *cells], strict=True)]
    for line in lines:
        say(line.rstrip())


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _balance(shares: tuple[float, float, float] | None) -> str:
    return "" if shares is None else f"{shares[0]:.2f} to {shares[2]:.2f}"


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


def show_columns(how: Reading) -> None:
    """Show which columns of tables had values that are no metadata, and which were in no table."""
    if how.left_out:
        found = ", ".join(f"{column!r:.60} {n}" for column, n in how.left_out.most_common(12))
        more = ", ..." * (len(how.left_out) > 12)
        say(f"left out of the metadata, as JSON has no such values, in columns: {found}{more}")
    for name in how.text_fields:
        if name not in how.fields_seen:
            say(f"note: no row has the field {name!r:.60} of --text-field; check its name")
