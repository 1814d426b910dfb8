"""The command: a verb is imported when it is asked for, and what it raises is said in a line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TextIO, cast

import click

from hashret.errors import DurabilityWarning, HashretError
from hashret.registry import resolve


class _Commands(Mapping[str, click.Command]):
    """The verbs as click wants them, each imported when it is looked up."""

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
    """Verbs in the order in which one needs them, and every foreseeable error in one line.

    `verbs` has for each where it is ("module:function") and what it does in a line, so that reading
    imports nothing that writes, and the list of all nothing at all.
    """

    def __init__(self, *, verbs: Mapping[str, tuple[str, str]], **rest: Any):
        super().__init__(**rest)
        self.commands = cast(Any, _Commands({verb: place for verb, (place, _) in verbs.items()}))
        self._lines = {verb: line for verb, (_, line) in verbs.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in their order."""
        return list(self._lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of this name, imported."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.short_help = self._lines[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of all verbs."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lines.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; what users can meet ends in a line and 1."""
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


def unbreakable_output() -> None:
    """Let both streams show what the terminal cannot, an id or a text, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def fail(message: str) -> NoReturn:
    """Say what is wrong on standard error and leave with 1."""
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
    """In one line, as errors are; the place in the code only of what is not said to users."""
    if issubclass(category, DurabilityWarning):
        click.echo(f"warning: {shown(str(message))}", err=True)
    else:
        click.echo(warnings.formatwarning(message, category, filename, lineno), err=True, nl=False)


_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
# Unicode Standard, chapter 23.2: what turns the order of the letters that follow.
_DIRECTIONS = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SHOWN = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*_CONTROLS, *_DIRECTIONS)
}


def shown(text: str) -> str:
    r"""The text with every control character as an escape, ``\x1b``; one line stays one line."""
    return text.translate(_SHOWN)
