"""The verb that answers over HTTP: serve."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashret.cli.group import shown
from hashret.cli.output import NumberRange, opened
from hashret.cli.query import announce_reading
from hashret.errors import MissingExtraError

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.server.guard import Limits


@click.command()
@click.argument(
    "collections",
    metavar="COLLECTION...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--token",
    envvar="HASHRET_TOKEN",
    show_envvar=True,
    metavar="TOKEN",
    help="Answer only requests with this token (Authorization: Bearer TOKEN).",
)
@click.option(
    "--insecure", is_flag=True, help="Listen on another host than this machine without a token."
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="Another name under which the server is called, such as that of a proxy; may be repeated.",
)
@click.option(
    "--originals/--no-originals",
    default=None,
    help="Show whole pictures, from the folders that were indexed.  [default: only where this "
    "machine alone can ask]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Calls that search at a time.  [default: one a core, at most 8]",
)
@click.option(
    "--timeout",
    type=NumberRange(0.1, 3600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for one request.",
)
def serve(
    collections: tuple[Path, ...],
    host: str,
    port: int,
    token: str | None,
    insecure: bool,
    names: tuple[str, ...],
    originals: bool | None,
    threads: int | None,
    timeout: float,
) -> None:
    """Answer questions to each COLLECTION over HTTP, and show a page to ask them.

    Where several are served, a request names one by its folder without `.hashret`. New commits are
    taken up as they come. Stop it with Ctrl-C or SIGTERM.
    """
    try:
        from hashret.server.app import create_app
        from hashret.server.guard import Limits
        from hashret.server.run import serve as run
        from hashret.server.service import make_ready
    except ImportError as error:
        raise MissingExtraError(
            f"serve: expected FastAPI and uvicorn, got {error}; install hashret[serve]"
        ) from error
    from hashret.search.question import Question

    limits = Limits(host, frozenset(name.lower() for name in names), token, timeout)
    _require_safe(limits, insecure)
    with ExitStack() as stack:
        served = {}
        for path in collections:
            name = path.resolve().name.removesuffix(".hashret")
            if name in served:
                raise click.UsageError(
                    f"expected folders with names of their own, got two called {name!r}; "
                    "rename one, or serve them on two ports"
                )
            served[name] = stack.enter_context(opened(path))
        for collection in served.values():
            announce_reading(collection, collection.suited(Question()), of_stored=False)
            make_ready(collection)  # now, not when the first question waits
        n_threads = threads or min(os.cpu_count() or 1, 8)
        if originals is None:  # a name is given where a proxy asks for others
            originals = limits.is_local and not names
        app = create_app(served, limits, n_threads=n_threads, shows_originals=originals)
        what = "; ".join(f"{shown(name)} ({_about(one)})" for name, one in served.items())
        run(app, host, port, lambda url: click.echo(f"serving {what} at {url}"))


def _about(collection: Collection) -> str:
    """What a collection holds, in a few words."""
    bits = f", {collection.n_bits} bits" if collection.snapshot.model is not None else ""
    s = "s" * (len(collection) != 1)
    return f"{len(collection):,} {collection.kind}{s}{bits}, commit {collection.commit}"


def _require_safe(limits: Limits, insecure: bool) -> None:
    """Raise `click.UsageError` where strangers could ask, unless that is meant; then say so."""
    token = limits.token
    if token is not None and not (
        token.isascii() and token.isprintable() and token.split() == [token]
    ):
        raise click.UsageError(
            "--token: expected printable ASCII without spaces, got others or none"
        )
    if limits.is_local or token is not None:
        return
    if not insecure:
        raise click.UsageError(
            f"--host {limits.host}: expected a token, since other machines can reach it; pass "
            "--token, or --insecure if everybody may read these collections"
        )
    click.echo(
        f"warning: --insecure: everybody who reaches {shown(limits.host)} can read all of it",
        err=True,
    )
