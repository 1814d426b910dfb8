"""Here is my text, image, vector or sequence: what are its features?"""

from hashret.features.base import FEATURIZERS

__all__ = ["FEATURIZERS"]
