"""Model files: a JSON description and safetensors arrays, never anything that runs."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashret.store.disk.damage import damaged
from hashret.store.disk.files import FileRecord, require_sound, sync_folder, write_file
from hashret.store.disk.refusals import plainly
from hashret.store.disk.untrusted import is_folder, open_plain, require_plain
from hashret.store.layout import MODEL_FILES, Layout

_DESCRIPTION, _TENSORS, DECODER = MODEL_FILES
_MAX_DESCRIPTION = 16 << 20  # bytes
_TRAIN_AGAIN = "train the model again"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model's name, the length of its codes, and its files by name."""

    name: str
    n_bits: int
    files: dict[str, FileRecord]

    @property
    def sha256(self) -> str:
        """Of the file of its arrays; empty for none."""
        return self.files[_TENSORS].sha256 if _TENSORS in self.files else ""

    @property
    def has_decoder(self) -> bool:
        """Whether there is a file of its decoder."""
        return DECODER in self.files

    @property
    def needed(self) -> list[str]:
        """The names of the files without which nothing can be encoded: all but the decoder's."""
        return [name for name in self.files if name != DECODER]


def write_model(
    layout: Layout,
    name: str,
    description: dict[str, Any],
    tensors: dict[str, np.ndarray],
    n_bits: int,
    decoder: dict[str, np.ndarray] | None = None,
) -> ModelRecord:
    """Write a model durably under ``models/NAME/``, and the arrays of its decoder if it has one."""
    from safetensors.numpy import save

    folder = layout.models / name
    require_plain([], [folder])
    with plainly(folder, "make"):
        folder.mkdir(exist_ok=True)
    sync_folder(layout.models)
    text = json.dumps(description, indent=1, allow_nan=False).encode()
    parts = {_DESCRIPTION: text, _TENSORS: save(_plain(tensors))}
    if decoder is not None:
        parts[DECODER] = save(_plain(decoder))
    files = [write_file(folder / part, [data]) for part, data in parts.items()]
    return ModelRecord(name, n_bits, {file.name: file for file in files})


def sha256_of_arrays(tensors: dict[str, np.ndarray]) -> str:
    """What `write_model` records of the file of these arrays."""
    from safetensors.numpy import save

    return hashlib.sha256(save(_plain(tensors))).hexdigest()


def _plain(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}


def read_description(layout: Layout, record: ModelRecord) -> dict[str, Any]:
    """What a model is. Raises `DamagedError` unless its file is sound and a JSON object."""
    path = require_model_file(layout, record, _DESCRIPTION)
    if record.files[_DESCRIPTION].size > _MAX_DESCRIPTION:
        raise damaged(path, f"at most {_MAX_DESCRIPTION} bytes", "more", _TRAIN_AGAIN)
    try:
        with plainly(path, "read"), open_plain(path) as stream:
            description = json.loads(stream.read().decode())
    except (ValueError, RecursionError) as error:
        raise damaged(path, "JSON", error, _TRAIN_AGAIN) from error
    if not isinstance(description, dict):
        raise damaged(path, "a JSON object", "another value", _TRAIN_AGAIN)
    return description


def read_model(layout: Layout, record: ModelRecord) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A model's description and arrays. Raises `DamagedError` unless both files are sound."""
    tensors = _read_arrays(layout, record, _TENSORS)
    return read_description(layout, record), tensors


def read_decoder(layout: Layout, record: ModelRecord) -> dict[str, np.ndarray]:
    """The arrays of a model's decoder. Raises `DamagedError` unless their file is sound."""
    return _read_arrays(layout, record, DECODER)


def _read_arrays(layout: Layout, record: ModelRecord, name: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = require_model_file(layout, record, name)
    try:
        with plainly(path, "read"):
            tensors: dict[str, np.ndarray] = load_file(path)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise damaged(path, "safetensors", error, _TRAIN_AGAIN) from error
    return tensors


def require_model_file(layout: Layout, record: ModelRecord, name: str) -> Path:
    """The path of this file of a model. Raises `DamagedError` unless the file is sound.

    The folder of the model must be one of the collection: a link would lead to another model.
    """
    folder = layout.models / record.name
    path = folder / name
    if os.path.lexists(folder) and not is_folder(folder):
        raise damaged(folder, "a folder", "something else")
    if name not in record.files:
        raise damaged(path, "a file that the catalog names", "none", _TRAIN_AGAIN)
    require_sound(path, record.files[name])
    return path
