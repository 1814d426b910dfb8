"""What does a person type? The command `hashret`: the verbs that write, joined to those that read.

This file has the short verbs (remove, repair, compact, demo); longer ones have a file each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hashret.cli import payloads, query, stored  # noqa: F401  mount their verbs
from hashret.cli.output import collection_argument, main, opened, show_hits, shown, wait_option
from hashret.errors import InputError
from indexer.cli import evaluate, index, tune  # noqa: F401  mount their verbs
from indexer.cli.console import say
from indexer.cli.run import Run, run_index

_DEMO_QUERIES = (
    "read a file line by line",
    "send an e-mail message over SMTP",
    "wait until all threads have finished",
)
_DEMO_SHORTLIST = 100


def _read_document(path: Path) -> str:
    from indexer.corpus.documents import read_text
    from indexer.refusals import Refused

    try:
        return read_text(path, follow=True).text
    except Refused as refused:
        raise InputError(f"{path}: {refused}") from refused


def _read_vector(path: Path) -> Any:
    from indexer.corpus.arrays import read_vector

    return read_vector(path)


payloads.READERS.update(text=_read_document, vector=_read_vector)


@main.command(short_help="Remove items by their ids.")
@collection_argument
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@wait_option
def remove(collection: Path, ids: tuple[str, ...], wait: float) -> None:
    """Remove the items of these IDs from COLLECTION: all of them, or none if one is unknown."""
    from hashret.store.layout import Layout
    from indexer.writer import Indexer

    Layout.find(collection)  # never create one just to remove from it
    with Indexer(collection, wait_seconds=wait) as indexer:
        removed = indexer.remove(ids)
        commit = indexer.commit()
    click.echo(f"removed {removed}")
    say(f"{collection}: commit {commit.commit}, {commit.n_items} items")


@main.command(short_help="Say how to repair a damaged collection, or do it.")
@collection_argument
@click.option("--apply", "act", is_flag=True, help="Do it; without, only say what would be done.")
@wait_option
def repair(collection: Path, act: bool, wait: float) -> None:
    """Say how a damaged COLLECTION would be repaired and which items are lost; --apply does it."""
    from hashret.store import repair as repairing
    from hashret.store.layout import Layout

    layout = Layout.find(collection)
    made = repairing.apply(layout, wait) if act else repairing.plan(layout)
    if made.is_empty:
        click.echo("sound: nothing to repair")
        return
    for damage in made.findings.damages:
        click.echo(f"damaged {damage.path}")
    if made.fall_back_to is not None:
        click.echo(f"back to commit {made.fall_back_to}, the last one with a sound model")
    if made.salvaged is not None:
        found = made.salvaged
        items = f"{len(found.live)} items"
        click.echo(f"new catalog of commit {found.commit} as far as it can be read: {items}")
    if made.lost_catalog:
        click.echo("every item is lost with the catalog; index its source again")
    for path, aside in made.moved.items():
        names = [shown(str(one.relative_to(layout.root))) for one in (path, aside)]
        click.echo(f"{'moved' if act else 'would move'} {' to '.join(names)}")
    for name in made.without_features:
        click.echo(f"without features from now on (no --rerank): segment {name}")
    for item_id in made.lost_ids:
        click.echo(f"lost {shown(item_id)}")
    if not act:
        say("nothing was changed; repeat with --apply to do it")


@main.command(short_help="Index the docstrings of Python's library; three questions.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default="demo.hashret",
    show_default=True,
    help="The collection to make.",
)
@wait_option
def demo(to: Path, wait: float) -> None:
    """Index the docstrings of Python's standard library and answer three questions."""
    from indexer.cli.demo_corpus import read_docstrings

    say(f"indexing the docstrings of this Python's standard library into {to} ...")
    run_index(Run(read_docstrings, to, "text", {}, wait=wait))
    with opened(to) as snapshot:
        for text in _DEMO_QUERIES:
            click.echo(f'\n$ hashret query {to} "{text}" -k 5 --rerank {_DEMO_SHORTLIST}')
            show_hits(snapshot.query(text, k=5, rerank=_DEMO_SHORTLIST), as_json=False)


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
