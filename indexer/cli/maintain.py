"""The verbs that maintain a collection: remove, repair, compact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashret.cli.group import shown
from hashret.cli.output import collection_argument, wait_option
from indexer.cli.console import say

if TYPE_CHECKING:
    from hashret.store.repair.plan import RepairPlan


@click.command()
@collection_argument
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--missing-ok", is_flag=True, help="Pass over IDs that COLLECTION does not have.")
@wait_option
def remove(collection: Path, ids: tuple[str, ...], missing_ok: bool, wait: float) -> None:
    """Remove the items with these IDs from COLLECTION. If one ID is unknown, nothing is removed.

    With --missing-ok, those that are there are removed.
    """
    from hashret.store.layout import Layout
    from indexer.writer import Indexer

    Layout.find(collection)  # never create one just to remove from it
    with Indexer(collection, wait_seconds=wait, on_note=say) as indexer:
        removed = indexer.remove(ids, missing_ok=missing_ok)
        commit = indexer.commit() if removed else None
    click.echo(f"removed {removed}")
    if commit is None:
        say(f"{collection}: no commit, because none of these items is there")
        return
    say(f"{collection}: commit {commit.commit}, {commit.n_items} items")


@click.command()
@collection_argument
@click.option(
    "--apply", "act", is_flag=True, help="Apply the repair.  [default: only show the plan]"
)
@wait_option
def repair(collection: Path, act: bool, wait: float) -> None:
    """Show how a damaged COLLECTION would be repaired and which items would be lost.

    With --apply, repair it. Damaged files are moved aside, never deleted.
    """
    from hashret.store.layout import Layout
    from hashret.store.repair import plan as repairing

    layout = Layout.find(collection)
    made = repairing.apply(layout, wait) if act else repairing.plan(layout)
    if made.is_empty:
        click.echo("sound: nothing to repair")
        return
    for damage in made.findings.damages:
        click.echo(f"damaged {damage.path}")
    _say_what_stays(made)
    for path, aside in made.moved.items():
        names = [shown(str(one.relative_to(layout.root))) for one in (path, aside)]
        click.echo(f"{'moved' if act else 'would move'} {' to '.join(names)}")
    for item_id in made.lost_ids:
        click.echo(f"lost {shown(item_id)}")
    if not act:
        say("nothing was changed; run the command again with --apply to repair")


def _say_what_stays(made: RepairPlan) -> None:
    commit = made.commit
    if made.lost_catalog:
        click.echo("every item is lost with the catalog; index its source again")
    if made.new_catalog is not None and commit is not None:
        items = f"{commit.n_items} items"
        click.echo(f"new catalog from what can be read of commit {commit.commit}: {items}")
    if made.is_partial:
        click.echo(
            "no commit is whole in it: items may be missing that are not named here, and items "
            "that had been removed may be back"
        )
    if made.falls_back and commit is not None:
        click.echo(
            f"falls back to commit {commit.commit}, the last that is whole with its model; what "
            "was removed since is back"
        )
    if made.findings.damaged_decoder is not None:
        click.echo("loses its decoder: `decode` works again after `hashret retrain`")
    for name, parts in made.damaged.items():
        if "codes" in parts and "records" not in parts:
            click.echo(
                f"loses its codes: segment {name}; no search finds its items until their source "
                "is indexed again"
            )
        for part in {"features", "texts"} & parts:
            lost = "so that --rerank no longer works" if part == "features" else "its items stay"
            click.echo(f"loses its {part}, {lost}: segment {name}")


@click.command()
@collection_argument
@wait_option
def compact(collection: Path, wait: float) -> None:
    """Merge the files of COLLECTION and free the space of items that were removed or replaced.

    Each run of `index` adds files, called segments; hundreds of them make searching slow. No answer
    changes. A collection of the former format is rewritten in today's. Processes that
    have the collection open are not disturbed: data that only they still read is deleted by a
    later `compact`.
    """
    from hashret.store.layout import Layout
    from indexer.writer import Indexer

    Layout.find(collection)  # never create one just to compact it
    with Indexer(collection, wait_seconds=wait, on_note=say) as indexer:
        done = indexer.compact()
    (segments, now), (size, left) = done.segments, done.size
    click.echo(f"segments {segments} to {now}, rows dropped {done.dropped}")
    click.echo(f"bytes {size} to {left}")
    if done.oldest is None:
        say(
            "the catalog is on a server, so other machines may be reading: replaced data stays on "
            "disk"
        )
    elif done.oldest < done.commit.commit:
        say(
            f"a process still reads commit {done.oldest}: data replaced since then stays on disk; "
            "run `compact` again after that process has ended"
        )
    say(f"{collection}: commit {done.commit.commit}, {done.commit.n_items} items")
