"""What a denoiser is, whatever it denoises, and which class rebuilds one from its spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np

from hashret.arguments import resolve
from hashret.errors import DamagedError

#: The class of the denoiser of each kind of spec; it is imported on first use.
_DENOISERS: Mapping[str, str] = {
    "patch-denoiser": "hashret.decoders.patch_denoiser:PatchDenoiser",
    "vector-denoiser": "hashret.decoders.vector_denoiser:VectorDenoiser",
}
#: Before the names of a denoiser's arrays, in the file that it shares with a decoder.
_PREFIX = "denoiser."


class Denoiser(Protocol):
    """Takes noise out of an image or of vectors; the noise is Gaussian and the same everywhere."""

    spec: Any

    def noise_of(self, noisy: np.ndarray) -> float:
        """The standard deviation of the noise, estimated, in units of the numbers."""
        ...

    def denoised(self, noisy: np.ndarray, noise: Any) -> np.ndarray:
        """The same without its noise, of the standard deviation `noise`, in the same shape."""
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned state, as arrays that `from_tensors` takes; weights in float16."""
        ...

    @classmethod
    def from_tensors(cls, spec: Any, tensors: Mapping[str, np.ndarray]) -> Self:
        """The denoiser with this spec and these tensors. Raises `DamagedError` if they differ."""
        ...


def denoiser_of(spec: Any, tensors: Mapping[str, np.ndarray]) -> Denoiser:
    """The denoiser of this spec with these tensors. Raises `DamagedError` if they differ."""
    rebuilt: type[Denoiser] = resolve(_DENOISERS, spec.kind, "denoiser")
    return rebuilt.from_tensors(spec, tensors)


def with_denoiser(
    decoder: Mapping[str, np.ndarray], denoiser: Denoiser | None
) -> dict[str, np.ndarray]:
    """The arrays of a decoder and of a denoiser, as one file holds them."""
    found = dict(decoder)
    if denoiser is not None:
        found |= {f"{_PREFIX}{name}": array for name, array in denoiser.tensors().items()}
    return found


def parts_of(
    arrays: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The arrays of the decoder and those of the denoiser, of what `with_denoiser` joined."""
    decoder = {name: array for name, array in arrays.items() if not name.startswith(_PREFIX)}
    denoiser = {
        name.removeprefix(_PREFIX): array
        for name, array in arrays.items()
        if name.startswith(_PREFIX)
    }
    return decoder, denoiser


def require_tensors(
    tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise `DamagedError` unless these are finite floats of the shapes that a spec says."""
    found = {name: array.shape for name, array in tensors.items()}
    if found != shapes or not all(
        array.dtype.kind == "f" and np.isfinite(array).all() for array in tensors.values()
    ):
        raise DamagedError(
            f"denoiser: expected finite floats of the shapes {dict(shapes)}, got {found}; train "
            "the model again"
        )
