"""Terms of the hidden layers: that few units are active, and that they depend little on the input.

Both are added for each hidden layer while it is pre-trained; the first also in fine-tuning.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from hashret.models.fixed_point import NORM_FLOOR
from indexer.training.networks.autoencoder import HiddenLayer
from indexer.training.networks.dense import Linear
from indexer.training.objectives import CodedBatch
from indexer.training.parts import Contraction, Sparsity

#: Least mean square of a layer's activations, and least share of active items of a unit.
_FLOOR = 1e-6


class HiddenTerm(ABC):
    """A loss of one hidden layer at a time."""

    in_finetuning = True

    @abstractmethod
    def of_layer(self, hidden: HiddenLayer) -> Tensor:
        """The weighted loss of what a layer made of a batch."""

    def __call__(self, batch: CodedBatch) -> Tensor:
        """The sum over the hidden layers of a coded batch, in fine-tuning."""
        loss = batch.code.new_zeros(())
        if self.in_finetuning:
            for hidden in batch.hidden:
                loss = loss + self.of_layer(hidden)
        return loss


def mean_activation(active: Tensor) -> Tensor:
    """The mean of activations (n, width), not negative, in units of their root mean square.

    It is 1 if all are equal, and near 0 if nearly all are 0. An L1 norm alone could be lowered by
    smaller weights here and larger ones in the next layer, which would leave no unit silent.
    """
    return active.mean() * torch.rsqrt(active.square().mean() + _FLOOR)


def divergence_from_rate(active: Tensor, rate: float) -> Tensor:
    """The mean over units of KL(rate || how often the unit is active in a batch (n, width)).

    Activations of a ReLU have no bound, so one of h counts as 1 - exp(-h) of being active (for
    logistic units: Ng, Sparse autoencoder, CS294A lecture notes, 2011, section 3).
    """
    often = (1.0 - torch.exp(-active)).mean(dim=0).clamp(_FLOOR, 1.0 - _FLOOR)  # (width,)
    wanted = torch.full_like(often, rate)
    return (
        wanted * torch.log(wanted / often)
        + (1.0 - wanted) * torch.log((1.0 - wanted) / (1.0 - often))
    ).mean()


class SparsityTerm(HiddenTerm):
    """`mean_activation` or, with a rate, `divergence_from_rate`, weighted."""

    def __init__(self, settings: Sparsity):
        self.settings = settings

    def of_layer(self, hidden: HiddenLayer) -> Tensor:
        """The weighted loss of a layer."""
        active, rate = hidden.active.float(), self.settings.rate
        loss = mean_activation(active) if rate is None else divergence_from_rate(active, rate)
        return self.settings.weight * loss


def squared_jacobian(weight: Tensor, sums: Tensor, *, normalised: bool) -> Tensor:
    """The squared Frobenius norm of the Jacobian of a ReLU layer, for each item, (n,).

    `weight` is (n_in, n_out), `sums` (n, n_out) are those of the items. It is the sum over the
    active units of |w_j|^2, as a ReLU's slope is 1 or 0. If the sums are normalised for each item
    before the ReLU, it is the sum of |w_j - mean w - z_j / n_out sum_k z_k w_k|^2 / variance, where
    z are the normalised sums; it needs no more than the products of the weights with each other.
    """
    products = weight.T @ weight  # (n_out, n_out)
    if not normalised:
        return (sums > 0).to(products.dtype) @ products.diagonal()
    products = products - products.mean(dim=0)
    products = products - products.mean(dim=1, keepdim=True)  # of the weights less their mean
    variance, mean = torch.var_mean(sums, dim=1, correction=0, keepdim=True)
    scale = torch.rsqrt(variance + NORM_FLOOR)  # (n, 1)
    z = (sums - mean) * scale
    along = z @ products / sums.shape[1]  # (n, n_out)
    rows = products.diagonal() - 2.0 * z * along
    rows = rows + z.square() * (z * along).sum(dim=1, keepdim=True) / sums.shape[1]
    return ((z > 0) * rows).sum(dim=1) * scale.squeeze(1).square()


class ContractionTerm(HiddenTerm):
    """`squared_jacobian`, its mean over a batch for each unit and feature, weighted.

    Rifai et al., "Contractive auto-encoders: explicit invariance during feature extraction", ICML
    2011, section 3; layers are stacked as there, so it is a term of pre-training only.
    """

    in_finetuning = False

    def __init__(self, settings: Contraction):
        self.settings = settings

    def of_layer(self, hidden: HiddenLayer) -> Tensor:
        """The weighted loss of a layer; raises TypeError for one that is not linear."""
        if not isinstance(hidden.layer, Linear):
            raise TypeError(
                f"contraction: expected a linear layer, got {type(hidden.layer).__name__}; "
                "choose a trunk of linear layers"
            )
        weight = hidden.layer.weight
        squares = squared_jacobian(weight, hidden.sums.float(), normalised=hidden.normalised)
        return self.settings.weight * squares.mean() / hidden.sums.shape[1]
