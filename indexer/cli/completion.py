"""The verb `hashret completion`: what a shell needs to complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script with which SHELL completes verbs, options and file names.

    \b
    bash:  hashret completion bash >> ~/.bashrc
    zsh:   hashret completion zsh >> ~/.zshrc
    fish:  hashret completion fish > ~/.config/fish/completions/hashret.fish
    """
    from indexer.cli import main

    if made := get_completion_class(shell):  # click has one for each of the choices
        click.echo(made(main, {}, "hashret", "_HASHRET_COMPLETE").source())
