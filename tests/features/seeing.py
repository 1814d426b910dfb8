"""What a fitted featurizer sees of a picture, without a fit."""

from hashret.features.image import ImageFeaturizer
from hashret.features.levels import learned_ranges, levels
from hashret.specs import ImageSpec

SPEC = ImageSpec(height=8, width=8, channels=3)


def seen(payload, spec=SPEC, corpus=()):
    """The levels of a picture by the black and white of a corpus of prepared ones."""
    return levels(ImageFeaturizer.prepare(payload, spec), learned_ranges(corpus))
