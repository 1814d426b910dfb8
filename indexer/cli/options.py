"""Options that more than one verb has which trains."""

from __future__ import annotations

import click

#: What torch takes for a seed.
SEED = click.IntRange(0, 2**63 - 1)

metric_option = click.option(
    "--metric",
    type=click.Choice(["cosine", "euclidean"]),
    help="What makes vectors near.  [default: cosine]",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where training runs.",
)
