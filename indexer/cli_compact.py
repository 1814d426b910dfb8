"""The verb compact: fewer, fuller segments, and nothing of items that are gone."""

from __future__ import annotations

from pathlib import Path

import click

from hashret.cli import collection_argument, main, wait_option
from indexer.console import say


@main.command(short_help="Merge segments, without what was removed or replaced.")
@collection_argument
@wait_option
def compact(collection: Path, wait: float) -> None:
    """Merge the segments of COLLECTION and leave out items that were removed or replaced.

    No answer changes. Whoever has it open reads on; what only they need stays until the next time.
    """
    from hashret.store.layout import Layout
    from indexer.writer import Indexer

    Layout.find(collection)  # never create one just to compact it
    with Indexer(collection, wait_seconds=wait) as indexer:
        done = indexer.compact()
    (segments, now), (size, left) = done.segments, done.size
    click.echo(f"segments {segments} to {now}, rows dropped {done.dropped}")
    click.echo(f"bytes {size} to {left}")
    if done.oldest is None:
        say("it can't be told here who reads the collection: what was replaced stays on disk")
    elif done.oldest < done.commit.commit:
        say(
            f"commit {done.oldest} is still being read: what was replaced since stays on disk; "
            "repeat when its readers have ended or refreshed"
        )
    say(f"{collection}: commit {done.commit.commit}, {done.commit.n_items} items")
