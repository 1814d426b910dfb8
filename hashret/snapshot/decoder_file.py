"""The parts of a model that no search needs, its decoder and its denoiser: both are in one file."""

from __future__ import annotations

from typing import Any

from hashret.decoders import denoiser as denoisers
from hashret.decoders.decoder import Decoder
from hashret.decoders.rebuilt import fits
from hashret.errors import CollectionError, DamagedError
from hashret.kinds import kind_of
from hashret.specs.decoders import DecoderSpec
from hashret.specs.denoisers import DenoiserSpec
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord, read_decoder


def stored_decoder(layout: Layout, record: ModelRecord, spec: Any, encoder: Any) -> Decoder:
    """The decoder of this spec, that of the model with this spec of an encoder.

    Raises CollectionError where `spec` is None, since the model has none, and `DamagedError`.
    """
    root = layout.root
    if spec is None:
        raise CollectionError(
            f"{root}: expected a model with a decoder, got one without; `hashret retrain "
            f"{root}` learns one that has it"
        )
    if not isinstance(spec, DecoderSpec):
        raise _other_settings(layout, "a decoder", spec)
    arrays, _ = denoisers.parts_of(read_decoder(layout, record))
    decoder = Decoder.from_tensors(spec, arrays)
    if not fits(spec, encoder):
        raise DamagedError(
            f"{root}: expected a decoder from {record.n_bits} bits to the encoder's features, "
            f"got one from {spec.n_bits} to {spec.n_outputs}; train it again"
        )
    return decoder


def stored_denoiser(
    layout: Layout, record: ModelRecord, spec: Any, kind: str
) -> denoisers.Denoiser:
    """The denoiser of this spec, of a model for items of this kind. Raises as `stored_decoder`."""
    root = layout.root
    if not kind_of(kind).denoises:
        raise CollectionError(
            f"{root}: expected a collection of images or vectors to denoise by, got one of "
            f"{kind} items; `hashret decode` shows what a code says"
        )
    if spec is None:
        raise CollectionError(
            f"{root}: expected a model with a denoiser, got one without; `hashret retrain "
            f"{root}` learns one, unless its items are packed bits or vectors of more than "
            "4,096 numbers"
        )
    if not isinstance(spec, DenoiserSpec):
        raise _other_settings(layout, "a denoiser", spec)
    _, arrays = denoisers.parts_of(read_decoder(layout, record))
    return denoisers.denoiser_of(spec, arrays)


def _other_settings(layout: Layout, expected: str, spec: Any) -> DamagedError:
    return DamagedError(
        f"{layout.root}: expected the settings of {expected}, got those of {spec.kind!r}; train it "
        "again"
    )
