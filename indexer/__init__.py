"""indexer: the package that learns codes and writes collections.

It reads a corpus, trains an encoder, encodes the items and commits them. Importing this module
loads neither torch nor SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.training import Multiples, TrainingOptions, TrainingReport
    from indexer.tuning import TuningReport, tune
    from indexer.writer import Indexer

__all__ = ["Indexer", "Multiples", "TrainingOptions", "TrainingReport", "TuningReport", "tune"]

_HOMES = {
    "Indexer": "indexer.writer",
    "Multiples": "indexer.training",
    "TrainingOptions": "indexer.training",
    "TrainingReport": "indexer.training",
    "TuningReport": "indexer.tuning",
    "tune": "indexer.tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'indexer' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
