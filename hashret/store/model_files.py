"""Model files: a JSON description and safetensors arrays, never anything that runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret.errors import DamagedError
from hashret.store.files import FileRecord, require_sound, sync_folder, write_file
from hashret.store.layout import Layout

_DESCRIPTION, _TENSORS = "model.json", "model.safetensors"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model's name, the length of its codes, and its files by name."""

    name: str
    n_bits: int
    files: dict[str, FileRecord]


def write_model(
    layout: Layout,
    name: str,
    description: dict[str, Any],
    tensors: dict[str, np.ndarray],
    n_bits: int,
) -> ModelRecord:
    """Write a model durably under ``models/NAME/``."""
    from safetensors.numpy import save

    folder = layout.models / name
    folder.mkdir(exist_ok=True)
    sync_folder(layout.models)
    text = json.dumps(description, indent=1, allow_nan=False).encode()
    packed = save({key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()})
    files = [write_file(folder / _DESCRIPTION, [text]), write_file(folder / _TENSORS, [packed])]
    return ModelRecord(name, n_bits, {file.name: file for file in files})


def read_description(layout: Layout, record: ModelRecord) -> dict[str, Any]:
    """What a model is. Raises `DamagedError` unless its file is sound."""
    path = layout.models / record.name / _DESCRIPTION
    _require(layout, record, _DESCRIPTION)
    description = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(description, dict):
        raise DamagedError(f"{path}: expected a JSON object; train the model again")
    return description


def read_model(layout: Layout, record: ModelRecord) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A model's description and arrays. Raises `DamagedError` unless both files are sound."""
    from safetensors.numpy import load_file

    _require(layout, record, _TENSORS)
    return (
        read_description(layout, record),
        load_file(layout.models / record.name / _TENSORS),
    )


def _require(layout: Layout, record: ModelRecord, name: str) -> None:
    path = layout.models / record.name / name
    if name not in record.files:
        raise DamagedError(f"{path}: expected in the catalog, got nothing; train the model again")
    require_sound(path, record.files[name])
