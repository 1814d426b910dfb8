"""The closing lines of a run: what was read, what was left out and why, by the endings of names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from hashret.workers.refusals import LEFT_OUT
from indexer.cli.console import say
from indexer.corpus.forms import form_named
from indexer.ingest.counts import Tally

_MOST_PARTS = 8  # reasons that a line lists
_MOST_ENDINGS = 6  # endings that a line lists for one reason
# classes of whole folders too, which say nothing by their endings
_FOLDERS_TOO = LEFT_OUT | {"collection"}
_OTHER, _INSTALL = "other type", "install hashret[documents]"


def show_counts(tally: Tally, kind: str, tense: str = "", *, by_ending: bool = False) -> None:
    """Show the closing line, whose counts add up, then what was read and left out, and examples.

    `by_ending` says whether items are files, so that their ids end as names of files do.
    """
    click.echo(
        f"seen {tally.seen} = {tally.added} {tense}added + {tally.replaced} {tense}replaced"
        f" + {tally.unchanged} unchanged + {tally.n_skipped} skipped"
    )
    if tally.codes_kept:
        say(f"{tally.codes_kept} codes {tense}kept: the texts of these items are as they were")
    if tally.left_over:
        say(f"{tally.left_over} passages {tense}removed that their documents have no more")
    if by_ending and tally.read:
        say(f"read {tally.read.total():,}: {listed(tally.read)}")
    if tally.n_skipped:
        report = "" if tally.on_skipped else "; --report FILE lists them"
        say(f"left out {tally.n_skipped:,}: {_reasons(tally, kind, by_ending)}{report}")
    for skipped in tally.examples():
        say(f"skipped {skipped.id}: {skipped.reason}")
    if tally.uncoded:
        say(
            f"{tally.uncoded} {tense}stored without a code, since the model knows nothing in them: "
            "found by id and --where, never a hit"
        )


def listed(endings: Counter[str]) -> str:
    """Counts of endings in words, the most frequent first."""
    shown = endings.most_common(_MOST_ENDINGS)
    rest = endings.total() - sum(n for _, n in shown)
    parts = [f"{n:,} {ending}" for ending, n in shown]
    return ", ".join([*parts, *([f"{rest:,} others"] if rest else [])])


def _reasons(tally: Tally, kind: str, by_ending: bool) -> str:
    """Why so many were left out, the most frequent reason first."""
    groups: dict[str, Counter[str]] = {}
    for name, endings in tally.endings.items():
        for ending, n in endings.items():
            reason = _reason(name, ending, kind) if by_ending else name
            groups.setdefault(reason, Counter())[ending] += n
    ranked = sorted(groups.items(), key=lambda pair: -pair[1].total())
    parts = [_part(reason, endings, by_ending) for reason, endings in ranked[:_MOST_PARTS]]
    rest = sum(endings.total() for _, endings in ranked[_MOST_PARTS:])
    return ", ".join([*parts, *([f"{rest:,} for other reasons"] if rest else [])])


def _part(reason: str, endings: Counter[str], by_ending: bool) -> str:
    if reason in _FOLDERS_TOO or not by_ending:
        return f"{endings.total():,} {reason}"
    return f"{listed(endings)}: {reason}" if reason == _INSTALL else f"{listed(endings)} ({reason})"


def _reason(error_class: str, ending: str, kind: str) -> str:
    """A class of refusals in the words of the closing line, which say what helps."""
    if error_class == "needs-extra":
        return _INSTALL
    if error_class != "other-type":
        return error_class
    form = form_named(Path(f"x{ending}")) if ending.startswith(".") else None
    if form is None or (form.is_item and kind in form.found):
        return _OTHER
    return form.advice or _OTHER
