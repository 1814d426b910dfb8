"""What are the pages made of? Files of this package, and what a policy says of them."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources


def page_text(name: str) -> str:
    """The content of a file that pages are made of."""
    return resources.files("hashret.insight").joinpath("page", name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """What a Content-Security-Policy says of a script that may run, or of a style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
