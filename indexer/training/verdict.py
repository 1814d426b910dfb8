"""Are the codes of a training any good? A verdict in one line, without labels, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hashret.codes import hamming
from hashret.models.base import Encoder
from hashret.rank import similarities
from hashret.sparse import Features, take_rows
from indexer.training.report import TrainingReport

#: A bit is balanced if it is 1 for a share of the items between these: then it tells at least
#: seven eighths of what a bit can tell (the entropy of .3 is .88 bits).
_BALANCED = 0.3, 0.7
#: The share of units that the training must have pushed near 0 or 1; of the others the bit is a
#: coin toss for a query that is a little different. Texts, images and vectors come to .93 to .97.
_SURE = 0.8
#: The least share of others that an item's neighbour must be nearer than: halfway between chance,
#: .5, and perfect, 1. Cranfield, 20 Newsgroups, docstrings and manuals come to .91 to .97,
#: photographs, whose features are pixels here and patches in their codes, to .83.
_KEPT = 0.75
_ASKED, _AMONG = 128, 2_048  # items that are asked about, and those among which they are
_FEWEST = 20


def neighbours_kept(
    features: Features,
    encoder: Encoder,
    compared: Callable[[Features], Features] = lambda features: features,
    seed: int = 0,
) -> float | None:
    """How many of the others are farther by code than an item's nearest one by features: a share.

    Nearest by the rows that `compared` (`Featurizer.compared`) makes of features. The mean of at
    most 128 items of a seeded sample of 2,048; of those that are as far half count. 1 would be
    perfect, .5 is chance. None for fewer than 20 items.
    """
    n = len(features)
    if n < _FEWEST:
        return None
    chosen = np.random.default_rng(seed).permutation(n)[:_AMONG]
    sample = take_rows(features, chosen)
    codes = encoder.encode(sample)
    sample = compared(sample)
    shares = []
    for i in range(min(_ASKED, len(chosen))):
        one = np.array([i])
        near = similarities(take_rows(sample, one), sample).astype(np.float64)
        near[i] = -np.inf
        distances = hamming(codes[one], codes)[0]
        nearest = distances[int(np.argmax(near))]
        others = np.delete(distances, i)
        shares.append((others > nearest).mean() + 0.5 * (others == nearest).mean())
    return float(np.mean(shares))


def doubts(report: TrainingReport) -> list[str]:
    """What the report's figures say against the codes, each with what to try."""
    found = []
    sure, kept = _last(report, "saturated"), report.neighbours_kept
    if sure is not None and sure < _SURE:
        found.append(
            f"codes: only {_percent(sure)} of the bits are sure (healthy: {_percent(_SURE)} or "
            "more), so queries a little different get other codes; try more epochs "
            "(`hashret tune` finds how many)"
        )
    if kept is not None and kept < _KEPT:
        found.append(
            f"codes: an item's neighbour is nearer than only {_percent(kept)} of the others "
            f"(healthy: {_percent(_KEPT)} or more; chance: 50%); add items, try more bits, or see "
            "whether the items have anything in common"
        )
    return found


def verdict_of(report: TrainingReport) -> str:
    """Whether the codes look healthy, and by which figures; "" where nothing was learned."""
    balance, distinct = _last(report, "bit_balance"), _last(report, "n_distinct")
    if balance is None or distinct is None or report.neighbours_kept is None:
        return ""
    low, _, high = balance
    facts = [
        f"{distinct:,} different ones for {report.n_items:,} items",
        f"each bit is 1 for {_percent(low)} to {_percent(high)} of them",
    ]
    if (sure := _last(report, "saturated")) is not None:
        facts.append(f"{_percent(sure)} of the bits are sure")
    facts.append(
        f"an item's neighbour is nearer than {_percent(report.neighbours_kept)} of the others"
    )
    is_even = _BALANCED[0] <= low and high <= _BALANCED[1]
    looks = "look healthy" if is_even and not report.warnings else "are doubtful"
    if not report.warnings and not is_even:
        looks = "work, but some bits tell little"
    return f"codes {looks}: {'; '.join(facts)}"


def _last(report: TrainingReport, name: str) -> Any:
    """The last value of a field of the stages; None if none has one."""
    values = [getattr(stage, name) for stage in report.stages]
    return next((value for value in reversed(values) if value is not None), None)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
