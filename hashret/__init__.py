"""hashret: semantic hashing retrieval.

hashret learns short binary codes on your own documents, images, vectors or sequences and looks them
up in a hash table. This package has what is needed to apply the codes: it opens a collection,
encodes queries and searches. The package `indexer` learns and writes. Importing this module loads
neither torch nor Faiss nor SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hashret._version import __version__

if TYPE_CHECKING:
    from hashret.codes import Codes, Neighbors
    from hashret.collection import Collection
    from hashret.errors import HashretError
    from hashret.items import Hit, Hits, Item, StoredItem
    from hashret.search.rows import FoundRows

__all__ = [
    "Codes",
    "Collection",
    "FoundRows",
    "HashretError",
    "Hit",
    "Hits",
    "Item",
    "Neighbors",
    "StoredItem",
    "__version__",
]

_HOMES = {
    "Codes": "hashret.codes",
    "Collection": "hashret.collection",
    "FoundRows": "hashret.search.rows",
    "HashretError": "hashret.errors",
    "Hit": "hashret.items",
    "Hits": "hashret.items",
    "Item": "hashret.items",
    "Neighbors": "hashret.codes",
    "StoredItem": "hashret.items",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hashret' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
