"""Options that more than one verb has which trains."""

from __future__ import annotations

import click

from hashret.kinds import KINDS, kind_of

#: What torch takes for a seed.
SEED = click.IntRange(0, 2**63 - 1)

metric_option = click.option(
    "--metric",
    type=click.Choice(list(dict.fromkeys(m for kind in KINDS.values() for m in kind.metrics))),
    help="What makes vectors near.  [default: cosine]",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where training runs.",
)


def require_metric(metric: str | None, kind: str) -> None:
    """Refuse a metric that was asked for items of a kind that has no such choice."""
    if metric is not None and metric not in kind_of(kind).metrics:
        fitting = " or ".join(name for name, row in KINDS.items() if metric in row.metrics)
        raise click.UsageError(
            f"--metric: expected items of kind {fitting}, got {kind}; leave it out"
        )
