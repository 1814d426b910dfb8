"""The loss of codes for vectors: scores that put first what the floats put first.

In a block of items each query has two distributions over the others: one by its float distances,
one by its scores against their bits. The loss is the cross-entropy between them (stochastic
neighbour embedding: Hinton and Roweis, NIPS 2002; Venna et al., "Information retrieval perspective
to nonlinear dimensionality reduction", JMLR 2010, for what this has to do with recall).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hashret.models.towers import TwoTowers, sign

#: The score of an item for itself: it is never its own neighbour.
_NEVER = -1e4
_BISECTIONS = 30


def similarities(asked: Tensor, features: Tensor) -> Tensor:
    """Minus half the squared distances up to a constant a row, (n_asked, n); -inf to oneself.

    `asked` are the first rows of `features`. Always in float32: bfloat16 could not tell near
    neighbours apart.
    """
    with torch.autocast(features.device.type, enabled=False):
        near = asked @ features.T - 0.5 * features.square().sum(dim=1)
    near.fill_diagonal_(-math.inf)
    return near


def temperature_for(near: Tensor, perplexity: float) -> float:
    """What `similarities` are divided by so that each row has about `perplexity` neighbours.

    One temperature for all rows: the mean entropy of softmax(near / temperature) is the
    logarithm of the perplexity (van der Maaten and Hinton, JMLR 2008, section 2, per row there).
    """
    centred = near - near.amax(dim=1, keepdim=True)
    spread = float(-centred[torch.isfinite(centred)].mean())
    low, high = math.log(max(spread, 1e-6)) - 12.0, math.log(max(spread, 1e-6)) + 3.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        share = torch.softmax(centred / math.exp(middle), dim=1)
        entropy = float(torch.special.entr(share).sum(dim=1).mean())
        low, high = (middle, high) if entropy < math.log(perplexity) else (low, middle)
    return math.exp(0.5 * (low + high))


@dataclass(frozen=True, slots=True)
class NearFloats:
    """The loss of two towers on a block of features, of which the first rows are queries."""

    towers: TwoTowers
    queries: int
    temperature: float
    symmetric_weight: float

    def __call__(self, features: Tensor) -> Tensor:
        """Mean cross-entropy by the query's weights and, for a part, by the query's own bits."""
        asked = features[: self.queries]
        near = torch.softmax(similarities(asked, features) / self.temperature, dim=1)
        bits = sign(self.towers.logits(features))
        loss = cross_entropy(near, self.towers.scores(asked, bits))
        by_bits = self.towers.scores(asked, bits, by_bits=bits[: len(asked)])
        return loss + self.symmetric_weight * cross_entropy(near, by_bits)


def cross_entropy(near: Tensor, scores: Tensor) -> Tensor:
    """The mean cross-entropy of softmax(scores), oneself left out, against the rows of `near`."""
    own = torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
    others = scores.masked_fill(own, _NEVER)
    return -(near * functional.log_softmax(others, dim=1)).sum(dim=1).mean()


def set_steepness(loss: NearFloats, features: Tensor) -> None:
    """Start both scores as steep as fits the distances best: learning would take long to get there.

    Too flat a start spends its steps on undoing what the rotation had right.
    """
    towers, asked = loss.towers, features[: loss.queries]
    with torch.no_grad():
        near = torch.softmax(similarities(asked, features) / loss.temperature, dim=1)
        bits = sign(towers.logits(features))
        own = (None, bits[: len(asked)])
        for which, by_bits in enumerate(own):
            tried = {}
            for quarter in range(29):  # 1 to 128 in quarters of an octave
                steepness = quarter * math.log(2.0) / 4.0
                towers.log_steepness[which] = steepness
                scores = towers.scores(asked, bits, by_bits=by_bits)
                tried[steepness] = float(cross_entropy(near, scores))
            towers.log_steepness[which] = min(tried, key=tried.__getitem__)
