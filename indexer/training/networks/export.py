"""Turn learned weights into those of a NumPy encoder, on the fixed-point grid.

Every trunk's `export` uses these functions. `hashret.models.fixed_point` explains the grid.
"""

from __future__ import annotations

import numpy as np

from hashret.models.fixed_point import MAX_WEIGHT, clamp_for, require_bounded, to_grid
from indexer.training.networks.autoencoder import Autoencoder
from indexer.training.networks.bottleneck import LogitMoments

Weights = tuple[list[np.ndarray], list[np.ndarray]]


def weights_of(network: Autoencoder) -> Weights:
    """The weights (n_in, n_out) and biases (n_out,) of the encoder's layers, float64."""
    return (
        [layer.weight.detach().cpu().double().numpy() for layer in network.encoder],
        [layer.bias.detach().cpu().double().numpy() for layer in network.encoder],
    )


def on_grid(
    weights: list[np.ndarray], biases: list[np.ndarray], moments: LogitMoments
) -> tuple[list[np.ndarray], list[np.ndarray], tuple[float, ...]]:
    """Weights (n_in, n_out), biases and clamps, on the grid, with the normalisation folded in.

    Of the last layer only the columns of logits remain, one for each bit. Weights are float32,
    biases float64 (`fixed_point`). Raises ValueError if they are too large for exact
    sums.
    """
    n_bits = len(moments.threshold)
    last, bias = weights[-1][:, :n_bits], biases[-1][:n_bits]
    last = last / moments.deviation
    bias = (bias - moments.threshold) / moments.deviation
    # a bit that hardly varies would need weights beyond float32: its logits are scaled down,
    # which changes neither its sign nor its threshold
    largest = np.maximum(np.abs(last).max(axis=0), np.abs(bias) / 1024.0)
    shrink = 1.0 / np.maximum(1.0, largest / (MAX_WEIGHT / 2.0))
    weights = [to_grid(weight) for weight in [*weights[:-1], last * shrink]]
    biases = [to_grid(each) for each in [*biases[:-1], bias * shrink]]
    require_bounded(weights)
    clamps = tuple(clamp_for(w, b) for w, b in zip(weights, biases, strict=True))
    return [weight.astype(np.float32) for weight in weights], biases, clamps
