"""Here are features: what is the code?"""

from hashret.specs import MODELS

__all__ = ["MODELS"]
