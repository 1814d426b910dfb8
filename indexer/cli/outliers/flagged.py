"""What `hashret index --flag-outliers` says: which of a run's items are unlike the others.

They are shown and no more: neither an item nor its metadata is changed by it.
"""

from __future__ import annotations

import click

from hashret.errors import CollectionError, InputError
from hashret.kinds import kind_of
from indexer.cli.console import say
from indexer.cli.outliers.verb import SHARE, line_of
from indexer.cli.run import Run

_SHOWN = 20  # outliers that a run lists

flag_option = click.option(
    "--flag-outliers",
    type=SHARE,
    metavar="P",
    help="At the end, show which items of this run are unlike those stored before, with a p-value "
    "of at most P (`hashret outliers`); in a first run, unlike each other.  [default: none shown]",
)


def first_new_row(run: Run) -> int:
    """The row that the first item of a run gets: none of the collection's has it or a later one.

    Raises CollectionError or `InputError` where outliers could not be flagged afterwards.
    """
    from hashret.collection import Collection
    from hashret.outliers.source import nothing_held, source_of
    from hashret.store.catalog.opening import open_if_made
    from hashret.store.layout import Layout

    catalog = open_if_made(Layout.require_place(run.to), address=run.catalog)
    if catalog is not None:
        catalog.close()
        with Collection.open(run.to, catalog=run.catalog) as collection:
            if collection.snapshot.model is not None and not run.retrain:
                if source_of(collection.snapshot) is None:
                    raise nothing_held(collection.snapshot)
                return max((one.stop for one in collection.snapshot.segments), default=0)
    kind = kind_of(run.kind)
    if kind.stores_texts:
        keeps = run.store_text is not False or run.store_features is not False
    elif kind.has_looks:
        keeps = bool(run.store_images) or run.store_thumbnails is not False
    else:
        keeps = kind.stores_features if run.store_features is None else run.store_features
    if not keeps:
        raise InputError(
            "--flag-outliers: expected a collection that keeps what its items are compared by, got "
            f"one of codes alone; add {kind.kept_by}"
        )
    return 0


def show_flagged(run: Run, p: float, first_row: int) -> None:
    """Show which of the items from this row on are outliers among those before, or among all."""
    import numpy as np

    from hashret.collection import Collection
    from hashret.outliers.find import Limit, outliers
    from hashret.outliers.usual import FEWEST

    with Collection.open(run.to, catalog=run.catalog) as collection:
        snapshot = collection.snapshot
        every = np.arange(len(snapshot.codes))
        new = snapshot.rows[every] >= first_row
        before = every[~new]
        usual = before if len(before) >= FEWEST else every
        try:
            found = outliers(snapshot, None, Limit(p, k=_SHOWN), asked=every[new], usual=usual)
        except CollectionError as error:  # too few: what was indexed is there all the same
            say(f"outliers: {error}")
            return
    beside = "the items stored before" if usual is before else "one another"
    say(
        f"outliers: {found.n_below:,} of {found.n_items:,} items of this run have p <= {p:.3g} "
        f"beside {beside} (of usual ones about {p * found.n_items:,.1f} would)"
    )
    for one in found:
        say(f"outlier {line_of(one)}")
    if len(found) < found.n_below:
        say(f"and {found.n_below - len(found):,} more: `hashret outliers {run.to}` shows them")
