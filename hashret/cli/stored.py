"""The verbs that show what is stored: get, list, info, verify."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from hashret.as_json import stored_json
from hashret.cli.group import shown
from hashret.cli.output import (
    collection_argument,
    commit_option,
    json_lines_option,
    json_option,
    opened,
    where_option,
)
from hashret.cli.reasons import none_because
from hashret.errors import HashretError


@click.command()
@collection_argument
@click.argument("item_id", metavar="ID")
@commit_option
@json_option
def get(collection: Path, item_id: str, commit: int | None, as_json: bool) -> None:
    """Show the item ID of COLLECTION: its code, metadata and the beginning of its text."""
    with opened(collection, commit) as snapshot:
        item = snapshot.get(item_id)
        if as_json:
            click.echo(json.dumps(dict(stored_json(item), text=item.text)))
            return
    click.echo(f"id        {shown(item.id)}\ncode      {item.code}")
    if item.metadata:
        click.echo(f"metadata  {shown(json.dumps(item.metadata, ensure_ascii=False))}")
    if item.preview:
        click.echo(f"text      {shown(item.preview)}")


@click.command("list")
@collection_argument
@where_option
@commit_option
@json_lines_option
def list_items(collection: Path, where: str | None, commit: int | None, as_json: bool) -> None:
    """List the ids of all items of COLLECTION, in order, or of those that --where selects."""
    with opened(collection, commit) as snapshot:
        item = None
        for item in snapshot.items(where=where):
            click.echo(json.dumps(stored_json(item)) if as_json else shown(item.id))
        if item is None and where is not None:
            because = none_because(snapshot, where)
            click.echo(f"no item satisfies the condition{shown(because)}", err=True)


@click.command()
@collection_argument
@commit_option
@json_option
def info(collection: Path, commit: int | None, as_json: bool) -> None:
    """Show what COLLECTION holds: items, bits in a code, commit, model, index, size on disk."""
    with opened(collection, commit) as snapshot:
        facts = snapshot.info()
    if as_json:
        click.echo(json.dumps(facts))
        return
    if facts["model"] is None:
        click.echo(
            "pending: nothing was learned from the items yet; `hashret retrain` learns from them"
            if facts["n_items"]
            else "unfinished: the first `hashret index` has not ended; run it again, and it goes on"
        )
    for name, value in facts.items():
        if value not in (None, "", []):
            click.echo(f"{name.replace('_', ' '):10} {shown(_in_words(value))}")


def _in_words(value: Any) -> str:
    """A fact of `Collection.info` as people read it: no braces, brackets, True or False."""
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            parts = [(key.replace("_", " "), _in_words(part)) for key, part in value.items()]
            return ", ".join(f"{key} {part}" for key, part in parts)
        case list():
            return ", ".join(map(_in_words, value))
        case _:
            return str(value)


@click.command()
@collection_argument
@json_option
def verify(collection: Path, as_json: bool) -> None:
    """Read every byte of COLLECTION and compare it with the checksums.

    Exit status: 0 if nothing is damaged, 1 if something is (each damage is named), 2 if the
    collection could not be checked.
    """
    from hashret.collection import verified

    try:
        found = verified(collection)
    except (HashretError, OSError) as error:
        click.echo(f"could not check: {shown(str(error))}", err=True)
        sys.exit(2)
    commit = found.commit
    if as_json:
        damages = [{"path": damage.path, "what": damage.what} for damage in found.damages]
        facts = {
            "sound": found.is_sound,
            "commit": commit.commit if commit else None,
            "items": commit.n_items if commit else None,
            "files": found.n_files,
            "damages": damages,
        }
        click.echo(json.dumps(facts))
    else:
        for damage in found.damages:
            click.echo(f"{damage.path}: {shown(damage.what)}")
        if commit and found.is_sound:
            counts = f"{commit.n_items} items, {found.n_files} files"
            click.echo(f"sound: commit {commit.commit}, {counts}")
    sys.exit(0 if found.is_sound else 1)
