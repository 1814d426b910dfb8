"""Here are features: what is the code?"""

from hashret.models.base import MODELS

__all__ = ["MODELS"]
