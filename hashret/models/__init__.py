"""Here are features: what is the code?"""

from hashret.specs.encoders import MODELS

__all__ = ["MODELS"]
