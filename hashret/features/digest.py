"""What is an item known by? A digest over its content and its metadata."""

from __future__ import annotations

import hashlib
import json

from hashret.arguments import resolve
from hashret.features import FEATURIZERS
from hashret.items import Item

# made once: `json.dumps` with arguments builds an encoder at every call
_as_json = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


def item_digest(item: Item, kind: str) -> bytes:
    """The SHA-256 over the item's content and its metadata, which are those of `metadata_of`.

    Raises `PayloadError` for a payload of another kind, and OSError for an unreadable file.
    """
    hasher = hashlib.sha256()
    resolve(FEATURIZERS, kind, "kind").digest(item.payload, hasher)
    hasher.update(b"\0" + _as_json(item.metadata).encode())
    return hasher.digest()
