"""The short verbs that write: remove, repair, compact."""

from __future__ import annotations

from pathlib import Path

import click

from hashret.cli.group import shown
from hashret.cli.output import collection_argument, wait_option
from indexer.cli.console import say


@click.command()
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


@click.command()
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


@click.command()
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
