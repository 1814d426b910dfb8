"""The report of a training: its stages, how its codes are spread, and warnings with what to try."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from hashret.codes import Codes
from hashret.insight.health import DEAD, DISTINCT, ONE_CODE
from indexer.training.options import TrainingOptions

#: An image is flat if its darkest and its lightest area differ by fewer grey levels (of 255) than
#: the first number; a warning is given if the second, a share of the images, are flat. Images of
#: 12 bits that are read beside images of 16 bits are all flat.
_FLAT_LEVELS, _FLAT_SHARE = 16.0, 0.2
#: Parts of a stage of which the report keeps the mean loss: as many as a curve needs.
_PARTS = 60
#: Number of items below which codes find less than the features they are learned from. Precision
#: at a tenth of the items, texts of five newsgroups (chance .20), codes of 64 bits and words: .27
#: and .36 with 20 items, .34 and .36 with 50, .36 and .34 with 100. Reordering the nearest quarter
#: by words gave .34 with 20 items; codes of 16 bits were no better (.28, .32, .35).
_FEW_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Look:
    """What the codes of a sample were like at one moment of fine-tuning."""

    done: float
    """The share of the stage that was done."""
    noise: float | None
    """As of `StageReport`, at that moment."""
    saturated: float | None
    bit_balance: tuple[float, float, float]

    @classmethod
    def of(cls, done: float, noise: float | None, saturated: float | None, codes: Codes) -> Look:
        """The look at these codes; numbers to four digits, as they are kept."""
        low, mean, high = (round(share, 4) for share in bit_balance(codes))
        noise = None if noise is None else round(noise, 4)
        saturated = None if saturated is None else round(saturated, 4)
        return cls(round(done, 4), noise, saturated, (low, mean, high))

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Look:
        """The look of which `asdict` made these fields, read back from JSON."""
        low, mean, high = fields["bit_balance"]
        return cls(**{**fields, "bit_balance": (low, mean, high)})


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage of training.

    `loss` is the mean over the stage's last tenth of steps; None if nothing is learned in it.
    The other fields describe fine-tuning and are None elsewhere. `noise` is the final standard
    deviation of the noise on the logits (after the gain). `saturated` is the share of noise-free
    code units above .9 or below .1. `bit_balance` has the least, mean and greatest share of ones
    over the bits. `n_distinct` is the number of different codes. `recall` is recall@10 by codes of
    the 10 nearest floats, for items held out from training among at most 16,384. `losses` are the
    means over equal parts of the stage, `looks` what codes were like on the way (`Course`).
    """

    stage: str
    seconds: float
    loss: float | None = None
    noise: float | None = None
    saturated: float | None = None
    bit_balance: tuple[float, float, float] | None = None
    n_distinct: int | None = None
    recall: float | None = None
    losses: list[float] | None = None
    looks: list[Look] | None = None


class Course(NamedTuple):
    """How the loss went in one stage of training."""

    final: float
    """The mean over the last tenth of the steps."""
    losses: list[float]
    """The mean over each of up to 60 equal parts of the stage."""
    looks: list[Look]
    """What the codes were like, up to 20 times; none in stages that make no codes."""

    @classmethod
    def of(cls, losses: Sequence[float], looks: Sequence[Look] = ()) -> Course:
        """The course of a stage by the losses of its steps, at least one."""
        parts = np.array_split(np.array(losses), min(_PARTS, len(losses)))
        final = float(np.mean(losses[-max(1, len(losses) // 10) :]))
        return cls(final, [float(f"{part.mean():.6g}") for part in parts], list(looks))


@dataclass(slots=True)
class TrainingReport:
    """How a training went: its stages in order, and warnings with what to try."""

    options: TrainingOptions
    n_items: int
    device: str
    bfloat16: bool
    stages: list[StageReport] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    neighbours_kept: float | None = None
    """How many of the others are farther by code than an item's nearest one by features, on average
    (`verdict.neighbours_kept`)."""
    n_labelled: int | None = None
    """The number of items whose label was learned from, by `options.label`; None: nothing was."""
    n_classes: int | None = None
    """The number of their different labels."""

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return dataclasses.asdict(self)


def bit_balance(codes: Codes) -> tuple[float, float, float]:
    """The least, mean and greatest share of ones over the bits of `codes`, at least one."""
    shares = codes.bits.mean(axis=0)
    return float(shares.min()), float(shares.mean()), float(shares.max())


def saturated(logits: np.ndarray, gain: float) -> float:
    """The share of logits whose sigmoid, of slope `gain`, is above .9 or below .1."""
    return float((np.abs(logits) * gain > np.log(9.0)).mean())


def code_warnings(codes: Codes, n_distinct_items: int) -> list[str]:
    """Warnings about the codes of all training items, each with what to try."""
    warnings = []
    if n_distinct_items < 2:
        return ["items: all are the same, so all have the same code; add different ones"]
    n_distinct = codes.n_distinct()
    # with few bits there are fewer possible codes than items, which must share them
    possible = min(float(n_distinct_items), 2.0**codes.n_bits)
    if n_distinct < DISTINCT * possible and n_distinct_items > 2 * n_distinct:
        warnings.append(
            f"codes: {n_distinct} distinct ones for {n_distinct_items} distinct items (collapsed); "
            "try more bits, another seed or, with a recipe (`hashret tune`), more epochs"
        )
    most = int(np.unique(codes.packed, axis=0, return_counts=True)[1].max())
    if most > ONE_CODE * len(codes):
        warnings.append(
            f"codes: {most} of {len(codes)} items have one and the same code (the model can't tell "
            "them apart); look at some of them, are they what they should be?"
        )
    shares = codes.bits.mean(axis=0)
    dead = int(((shares < DEAD) | (shares > 1.0 - DEAD)).sum())
    if dead:
        warnings.append(
            f"codes: {dead} of {codes.n_bits} bits are the same for nearly all items (dead); "
            "try fewer bits, another seed or, with a recipe (`hashret tune`), more epochs"
        )
    return warnings + few_warnings(len(codes))


def few_warnings(n_items: int) -> list[str]:
    """A warning if there are too few items to learn useful codes; known before the training."""
    if n_items >= _FEW_ITEMS:
        return []
    warning = (
        f"only {n_items} items: too few to learn useful codes (about {_FEW_ITEMS} is the least "
        f"that makes sense); add more, or store features and query with --rerank {n_items}"
    )
    return [warning]


def flat_warnings(spans: np.ndarray) -> list[str]:
    """A warning if many images are flat.

    `spans` (n,) has the grey levels, of 255, between each image's darkest and lightest area.
    """
    flat = int((spans < _FLAT_LEVELS).sum())
    if flat < _FLAT_SHARE * len(spans):
        return []
    warning = (
        f"images: {flat} of {len(spans)} are nearly constant (they span less than a sixteenth of "
        "the range from black to white); check whether they are empty, or have fewer bits a pixel "
        "than the others"
    )
    return [warning]


#: Progress callback: called with (stage, steps done, steps in all, loss of the step).
OnProgress = Callable[[str, int, int, float], None]
