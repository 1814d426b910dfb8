"""The group of verbs: imports a verb when it is run, and turns its error into one line."""

from __future__ import annotations

import atexit
import gc
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TextIO, cast

import click

from hashret.arguments import resolve
from hashret.errors import DurabilityWarning, HashretError
from hashret.unicode_text import shown as shown


class _Commands(Mapping[str, click.Command]):
    """The verbs as the mapping that click expects; each is imported when it is looked up."""

    def __init__(self, places: dict[str, str]):
        self._places = places

    def __getitem__(self, verb: str) -> click.Command:
        if verb not in self._places:
            raise KeyError(verb)
        return cast(click.Command, resolve(self._places, verb, "verb"))

    def __contains__(self, verb: object) -> bool:
        return verb in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Verbs(click.Group):
    """A group of verbs, listed in the order in which a user needs them.

    `verbs` maps each name to its place ("module:function") and to a line on what it does. So a
    reading verb imports nothing that writes, and the list of verbs imports none of them. Every
    foreseeable error of a verb is shown in one line.
    """

    def __init__(self, *, verbs: Mapping[str, tuple[str, str]], **rest: Any):
        super().__init__(**rest)
        self.commands = cast(Any, _Commands({verb: place for verb, (place, _) in verbs.items()}))
        self._lines = {verb: line for verb, (_, line) in verbs.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the verbs, in the order given."""
        return list(self._lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of this name, imported; None if there is none."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.short_help = self._lines[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of all verbs, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lines.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; an error that users can meet is shown in one line, with exit status 1."""
        _seek_cycles_rarely()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("once", DurabilityWarning)
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except (HashretError, OSError, MemoryError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            fail(
                f"{error}"
                if isinstance(error, HashretError)
                else f"{type(error).__name__}: {error}"
            )


#: New objects after which Python looks for cycles among them, in place of 700: about a quarter of
#: those that the modules of a query bring, and a few MB at most that are given back later.
_NEW_OBJECTS = 30_000


def _seek_cycles_rarely() -> None:
    """Let this process look for unused cycles of objects rarely, and not at all when it ends.

    What a verb imports stays until the end, and to look through it time and again, the last time
    when nothing can be gained any more, is a tenth of a cold query's processor time.
    """
    gc.set_threshold(_NEW_OBJECTS)
    atexit.register(gc.disable)


def unbreakable_output() -> None:
    """Make both output streams write characters that the terminal's encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def fail(message: str) -> NoReturn:
    """Write the message to standard error and exit with status 1."""
    click.echo(f"hashret: {shown(message)}", err=True)
    raise SystemExit(1)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning: one line if it is meant for users, else with its place in the code."""
    if issubclass(category, DurabilityWarning):
        click.echo(f"warning: {shown(str(message))}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno), err=True, nl=False)
