"""The settings of featurizers, encoders and decoders: frozen dataclasses, stored as JSON.

A spec holds the numbers and words that are needed to rebuild a featurizer, an encoder or a decoder.
Learned arrays are not in it; they are stored as tensors beside it. Here are the specs that a caller
of the library gives; those of encoders and decoders are made by the training.
"""

from hashret.specs.features import ImageSpec, SequenceSpec, TextSpec, VectorSpec
from hashret.specs.stored import from_json, to_json

__all__ = ["ImageSpec", "SequenceSpec", "TextSpec", "VectorSpec", "from_json", "to_json"]
