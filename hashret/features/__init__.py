"""Here is my text, image or vector: what are its features?"""

from hashret.features.base import FEATURIZERS

__all__ = ["FEATURIZERS"]
