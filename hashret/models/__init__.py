"""Here are features: give me codes.

Which encoders there are, by the name that a collection records. Importing this loads none.
"""

from hashret.models.base import MODELS

__all__ = ["MODELS"]
