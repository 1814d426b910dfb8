"""Two towers in training: one computes an item's bits, the other a query's weights of bits.

The code tower is a linear map plus a shallow network that starts at zero, so training begins at
the code of the linear map alone; the query tower is linear. `export_towers` turns both into the
NumPy encoder that is stored. In it the linear map uses pairs of ReLU units, since x W equals
relu(x W) - relu(-x W), so that the encoder has the same form as any other.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import clamp_for, require_bounded, to_grid
from hashret.models.query_tower import QueryTower
from hashret.specs.encoders import DenseSpec


class TwoTowers(nn.Module):
    """Maps of (n, n_features) features to logits of the code and to a query's weights of it.

    Both start at features @ projection + offset, (n_features, n_bits) and (n_bits,).
    """

    def __init__(
        self, projection: np.ndarray, offset: np.ndarray, hidden: int, generator: torch.Generator
    ):
        super().__init__()
        n_features = len(projection)
        n_bits = len(offset)
        start = torch.from_numpy(projection.astype(np.float32))
        shift = torch.from_numpy(offset.astype(np.float32))
        self.linear = nn.Parameter(start.clone())
        self.offset = nn.Parameter(shift.clone())
        self.inner = nn.Parameter(torch.empty(n_features, hidden))
        self.inner_bias = nn.Parameter(torch.zeros(hidden))
        self.outer = nn.Parameter(torch.zeros(hidden, n_bits))
        self.query = nn.Parameter(start.clone())
        self.query_offset = nn.Parameter(shift.clone())
        # log of the slope of scores in the agreement, by a query's weights and by its bits
        self.log_steepness = nn.Parameter(torch.zeros(2))
        with torch.no_grad():
            self.inner.normal_(0.0, math.sqrt(2.0 / n_features), generator=generator)

    def widened(self, hidden: int, generator: torch.Generator) -> TwoTowers:
        """The same maps with `hidden` more units, to be learned from here on."""
        projection, offset = (array.detach().cpu().numpy() for array in (self.linear, self.offset))
        return TwoTowers(projection, offset, hidden, generator).to(self.linear.device)

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self.linear.shape[1]

    def logits(self, features: Tensor) -> Tensor:
        """(n, n_bits) float32: a bit is 1 where its logit is positive."""
        # not in bfloat16, whose 8 bits of precision would flip bits of the codes
        with torch.autocast(features.device.type, enabled=False):
            straight = torch.addmm(self.offset, features, self.linear)  # (n, n_bits)
        active = functional.relu(torch.addmm(self.inner_bias, features, self.inner))  # (n, hidden)
        return straight + (active @ self.outer).float()

    def weights(self, features: Tensor) -> Tensor:
        """(n, n_bits): the weight that a query gives to agreement in each bit."""
        with torch.autocast(features.device.type, enabled=False):
            return torch.addmm(self.query_offset, features, self.query)

    def scores(self, features: Tensor, bits: Tensor, *, by_bits: Tensor | None = None) -> Tensor:
        """(n, m) log-odds, up to a constant for each row, that an item is a query's neighbour.

        `bits` (m, n_bits) of -1 and 1. The query gives its weights, or `by_bits`, its own bits.
        """
        weights = self.weights(features) if by_bits is None else by_bits  # (n, n_bits)
        steepness = self.log_steepness[0 if by_bits is None else 1].exp() / self.n_bits
        return (weights @ bits.T).float() * steepness  # (n, m)


def export_towers(towers: TwoTowers, input_scale: float) -> DenseEncoder:
    """Both towers on the fixed-point grid. Raises ValueError if weights are too large for it."""
    linear, inner, outer, query = (
        array.detach().cpu().double().numpy()
        for array in (towers.linear, towers.inner, towers.outer, towers.query)
    )
    offset, inner_bias, query_offset = (
        array.detach().cpu().double().numpy()
        for array in (towers.offset, towers.inner_bias, towers.query_offset)
    )
    n_bits, identity = towers.n_bits, np.eye(towers.n_bits)
    weights = [np.hstack([inner, linear, -linear]), np.vstack([outer, identity, -identity])]
    biases = [np.concatenate([inner_bias, np.zeros(2 * n_bits)]), offset]
    weights, biases = [to_grid(w) for w in weights], [to_grid(b) for b in biases]
    query, query_offset = to_grid(query), to_grid(query_offset)
    require_bounded([*weights, query])
    clamp = clamp_for(query, query_offset)
    spec = DenseSpec(
        n_features=len(inner),
        n_bits=n_bits,
        hidden=(weights[0].shape[1],),
        input_scale=input_scale,
        clamps=tuple(clamp_for(w, b) for w, b in zip(weights, biases, strict=True)),
        query_clamp=clamp,
    )
    return DenseEncoder(
        spec,
        [weight.astype(np.float32) for weight in weights],
        biases,
        QueryTower(query.astype(np.float32), query_offset, clamp),
    )
