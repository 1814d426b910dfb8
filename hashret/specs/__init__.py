"""The settings of featurizers and encoders, as frozen dataclasses that are stored as JSON.

A spec holds the numbers and words that are needed to rebuild a featurizer or an encoder. Learned
arrays are not in it; they are stored as tensors beside it. Here are the specs that a caller of the
library gives; those of encoders (`encoders`) are made by the training.
"""

from hashret.specs.features import ImageSpec, SequenceSpec, TextSpec, VectorSpec
from hashret.specs.stored import from_json, to_json

__all__ = ["ImageSpec", "SequenceSpec", "TextSpec", "VectorSpec", "from_json", "to_json"]
