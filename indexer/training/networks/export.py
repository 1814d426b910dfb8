"""Autoencoders as they are trained, and the dense one: linear layers to the bits and up again.

Weights are stored (n_in, n_out): a batch of sparse rows then needs only the rows of the first
matrix that occur in it, and export keeps the layout that queries read. `export` turns a trained
network into the NumPy encoder that is kept; the decoder is thrown away.
"""

from __future__ import annotations

import numpy as np

from hashret.models.conv import ConvEncoder
from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import MAX_WEIGHT, clamp_for, require_bounded, to_grid
from hashret.models.query_tower import QueryTower
from hashret.specs import ConvSpec, DenseSpec
from indexer.training.networks.autoencoder import _LATENT_LENGTH, Autoencoder
from indexer.training.networks.bottleneck import LogitMoments
from indexer.training.networks.conv import Shape
from indexer.training.networks.two_towers import TwoTowers


def export(
    network: Autoencoder, moments: LogitMoments, input_scale: float, logit_scale: float
) -> DenseEncoder:
    """The encoder half as a `DenseEncoder`: normalisation folded in, all on the fixed-point grid.

    Raises ValueError if the weights are too large for exact sums.
    """
    weights = [layer.weight.detach().cpu().double().numpy() for layer in network.encoder]
    biases = [layer.bias.detach().cpu().double().numpy() for layer in network.encoder]
    latent = None
    if network.latent is not None:
        # what is kept gives a unit vector
        weights[-1][-network.n_latent :] *= _LATENT_LENGTH
        latent = to_grid(network.latent.cpu().double().numpy())
        require_bounded([latent])
    weights, biases, clamps = on_grid(weights, biases, moments)
    hidden = tuple(weight.shape[1] for weight in weights[:-1])
    if latent is not None:
        clamps = (min(clamps[0], clamp_for(latent, np.zeros(network.n_latent))), *clamps[1:])
        latent = latent.astype(np.float32)
    spec = DenseSpec(
        n_features=weights[0].shape[0],
        n_bits=weights[-1].shape[1],
        hidden=hidden,
        input_scale=input_scale,
        clamps=clamps,
        logit_scale=logit_scale,
        normalised=network.normalised,
        n_latent=network.n_latent,
    )
    return DenseEncoder(spec, weights, biases, latent=latent)


def on_grid(
    weights: list[np.ndarray], biases: list[np.ndarray], moments: LogitMoments
) -> tuple[list[np.ndarray], list[np.ndarray], tuple[float, ...]]:
    """Weights (n_in, n_out) and biases with the normalisation folded in, on the grid, and clamps.

    Weights come back as float32, biases as float64 (`fixed_point`). Raises ValueError if they are
    too large for exact sums.
    """
    weights[-1] = weights[-1] / moments.deviation
    biases[-1] = (biases[-1] - moments.threshold) / moments.deviation
    # a bit that hardly varies would need weights beyond float32: its logits are scaled down,
    # which changes neither its sign nor its threshold
    largest = np.maximum(np.abs(weights[-1]).max(axis=0), np.abs(biases[-1]) / 1024.0)
    shrink = 1.0 / np.maximum(1.0, largest / (MAX_WEIGHT / 2.0))
    weights[-1], biases[-1] = weights[-1] * shrink, biases[-1] * shrink
    weights = [to_grid(weight) for weight in weights]
    biases = [to_grid(bias) for bias in biases]
    require_bounded(weights)
    clamps = tuple(clamp_for(w, b) for w, b in zip(weights, biases, strict=True))
    return [weight.astype(np.float32) for weight in weights], biases, clamps


def export_conv(
    network: Autoencoder,
    shape: Shape,
    moments: LogitMoments,
    input_scale: float,
    logit_scale: float,
) -> ConvEncoder:
    """The encoder half as a `ConvEncoder`; see `dense.export`."""
    weights, biases, clamps = on_grid(
        [layer.weight.detach().cpu().double().numpy() for layer in network.encoder],
        [layer.bias.detach().cpu().double().numpy() for layer in network.encoder],
        moments,
    )
    spec = ConvSpec(
        height=shape[0],
        width=shape[1],
        channels=shape[2],
        filters=tuple(int(weight.shape[1]) for weight in weights[:-1]),
        n_bits=int(weights[-1].shape[1]),
        input_scale=input_scale,
        clamps=clamps,
        logit_scale=logit_scale,
    )
    return ConvEncoder(spec, weights, [np.asarray(bias) for bias in biases])


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
