"""Checkpoints of an unfinished run: arrays and a few facts in one file each.

They stand in ``unfinished/`` of a collection until its next commit. Each file carries its own
SHA-256, and one that is not as it was written counts as none: what it saved is done again.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from hashret.errors import DamagedError
from hashret.store.disk.files import make_folder, sync_folder, write_file
from hashret.store.disk.refusals import plainly
from hashret.store.disk.untrusted import is_file, is_folder, open_plain
from hashret.store.layout import Layout

_DIGEST = 32  # bytes, before the safetensors
_SUFFIX = ".checkpoint"


class CheckpointFiles:
    """The checkpoints of one collection, for its one writer."""

    def __init__(self, layout: Layout):
        self._folder = layout.unfinished

    def write(
        self, name: str, facts: dict[str, Any], arrays: dict[str, np.ndarray] | None = None
    ) -> None:
        """Keep `arrays` and JSON `facts` durably under `name`, in place of what it held."""
        from safetensors.numpy import save

        text = {"facts": json.dumps(facts, allow_nan=False)}
        tensors = {key: np.ascontiguousarray(array) for key, array in (arrays or {}).items()}
        data = save(tensors, metadata=text)
        make_folder(self._folder.parent, self._folder)
        write_file(self._folder / f"{name}{_SUFFIX}", [hashlib.sha256(data).digest(), data])

    def read(self, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """The facts and arrays under `name`; None where there are none, or damaged ones."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            with open_plain(self._folder / f"{name}{_SUFFIX}") as stream:
                digest, data = stream.read(_DIGEST), stream.read()
        except (FileNotFoundError, DamagedError):
            return None
        if hashlib.sha256(data).digest() != digest:
            return None
        size = int.from_bytes(data[:8], "little")
        try:
            facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["facts"])
            return facts, load(data)
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def clear(self, start: str = "") -> bool:
        """Forget, durably, what is kept under names with this start; True if there was any.

        What else stands in the folder stays, and the folder with it.
        """
        if not is_folder(self._folder):
            return False
        found = [path for path in self._folder.glob(f"{start}*{_SUFFIX}*") if is_file(path)]
        with plainly(self._folder, "clear"):
            for path in found:
                path.unlink()
            is_empty = not start and not any(self._folder.iterdir())
            if is_empty:
                self._folder.rmdir()
        if is_empty:
            sync_folder(self._folder.parent)
        elif found:
            sync_folder(self._folder)
        return bool(found)
