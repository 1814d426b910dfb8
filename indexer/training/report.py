"""How did a training go? A report of its stages and codes, and warnings of what looks wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hashret.codes import Codes
from indexer.training.options import TrainingOptions

#: Codes are called collapsed if there are fewer distinct ones than this share of distinct items.
_DISTINCT_SHARE = 0.05
#: A code that more than this share of the items have is warned of.
_ONE_CODE_SHARE = 0.5
#: Images of fewer levels than this, of 255, from their darkest to their lightest area are called
#: flat: of 12 bits beside others of 16 bits all are. This share of them is warned of.
_FLAT_LEVELS, _FLAT_SHARE = 16.0, 0.2
#: A bit is called dead if it is 1, or 0, for less than this share of the items.
_DEAD_SHARE = 0.01
#: Codes learned from fewer items find less than the features do. Precision at a tenth of the items,
#: by codes of 64 bits and by words, texts of five newsgroups: of 20 items .27 and .36 (chance .20),
#: of 50 .34 and .36, of 100 .36 and .34. A shortlist of a quarter by words gave .34 of 20; codes of
#: 16 bits were no better (.28, .32, .35).
_FEW_ITEMS = 100


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage of training.

    `loss` is the mean over the stage's last tenth, None where nothing is learned. The others
    are of fine-tuning, None elsewhere: `noise` the final standard deviation of the noise on
    the logits (after the gain), `saturated` the share of noise-free units above .9 or below .1,
    `bit_balance` the least, mean and greatest share of ones over the bits, `n_distinct` the
    number of different codes, `recall` the share of the 10 nearest floats that items held out
    from training find among the first 10 of at most 16,384.
    """

    stage: str
    seconds: float
    loss: float | None = None
    noise: float | None = None
    saturated: float | None = None
    bit_balance: tuple[float, float, float] | None = None
    n_distinct: int | None = None
    recall: float | None = None


@dataclass(slots=True)
class TrainingReport:
    """How a training went: its stages in order, and warnings with what to try."""

    options: TrainingOptions
    n_items: int
    device: str
    bfloat16: bool
    stages: list[StageReport] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return dataclasses.asdict(self)


def bit_balance(codes: Codes) -> tuple[float, float, float]:
    """The least, mean and greatest share of ones over the bits of at least one code."""
    shares = codes.bits.mean(axis=0)
    return float(shares.min()), float(shares.mean()), float(shares.max())


def code_warnings(codes: Codes, n_distinct_items: int) -> list[str]:
    """What is wrong with the codes of all training items, in words with what to try."""
    warnings = []
    if n_distinct_items < 2:
        return ["items: all are alike, so all have the same code; index more than one thing"]
    n_distinct = codes.n_distinct()
    # never more distinct codes than codes: with few bits many items must share one
    possible = min(float(n_distinct_items), 2.0**codes.n_bits)
    if n_distinct < _DISTINCT_SHARE * possible and n_distinct_items > 2 * n_distinct:
        warnings.append(
            f"codes: {n_distinct} distinct ones for {n_distinct_items} distinct items (collapsed); "
            "try more bits, another seed or, by a recipe (`hashret tune`), more epochs"
        )
    most = int(np.unique(codes.packed, axis=0, return_counts=True)[1].max())
    if most > _ONE_CODE_SHARE * len(codes):
        warnings.append(
            f"codes: {most} of {len(codes)} items have one and the same code (nearly constant to "
            "what was learned); look at some of them, are they what they should be?"
        )
    shares = codes.bits.mean(axis=0)
    dead = int(((shares < _DEAD_SHARE) | (shares > 1.0 - _DEAD_SHARE)).sum())
    if dead:
        warnings.append(
            f"codes: {dead} of {codes.n_bits} bits are the same for nearly all items (dead); "
            "try fewer bits, another seed or, by a recipe (`hashret tune`), more epochs"
        )
    if len(codes) < _FEW_ITEMS:
        warnings.append(
            f"items: {len(codes)} are few to learn codes from (fewer than {_FEW_ITEMS}), which "
            "miss some of what is alike; add more, or keep features and ask with --rerank"
        )
    return warnings


def flat_warnings(spans: np.ndarray) -> list[str]:
    """What is wrong with images, (n,) levels from the darkest to the lightest area of each."""
    flat = int((spans < _FLAT_LEVELS).sum())
    if flat < _FLAT_SHARE * len(spans):
        return []
    told = (
        f"images: {flat} of {len(spans)} are nearly constant (less than a sixteenth of the range "
        "from black to white, as very dark ones are); are they of fewer bits than the others, or "
        "empty?"
    )
    return [told]


#: Called with (stage, steps done, steps in all, loss of the step).
OnProgress = Callable[[str, int, int, float], None]
