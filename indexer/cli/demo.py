"""The verb `hashret demo`: a corpus that every machine has, and three questions."""

from __future__ import annotations

from pathlib import Path

import click

from hashret.cli.output import opened, show_hits, wait_option
from indexer.cli.console import say
from indexer.cli.demo_corpus import read_docstrings
from indexer.cli.run import Run, run_index

_DEMO_QUERIES = (
    "read a file line by line",
    "send an e-mail message over SMTP",
    "wait until all threads have finished",
)


@click.command()
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default="demo.hashret",
    show_default=True,
    help="The collection to make, a folder.",
)
@wait_option
def demo(to: Path, wait: float) -> None:
    """Index the docstrings of Python's standard library and answer three questions about them."""
    say(f"indexing the docstrings of this Python's standard library into {to} ...")
    run_index(Run(read_docstrings, to, "text", {}, wait=wait))
    with opened(to) as snapshot:
        for text in _DEMO_QUERIES:
            click.echo(f'\n$ hashret query {to} "{text}" -k 5')
            show_hits(snapshot, snapshot.query(text, k=5, hybrid=None), text)
