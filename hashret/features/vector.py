"""Vectors as features: centred, and scaled by one number, which keeps their geometry.

Of vectors that are compared by cosine the direction alone is kept: between unit vectors, Euclidean
distance orders as cosine does. Bits that are packed are neither centred nor scaled: -1 and 1 are
their features, in the order of bits of `codes.Codes`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from hashret.codes import Codes
from hashret.errors import DamagedError, EmptyCorpusError, PayloadError
from hashret.features.base import Hasher
from hashret.features.centred import CentredFeaturizer
from hashret.features.kept import vector_as_bytes, vector_of
from hashret.features.left_out import LeftOut, Number, heaviest
from hashret.features.noise.denoising import Denoising
from hashret.features.noise.vectors import NoisyVectors, rows_of, same_form
from hashret.items import Payload
from hashret.rank import similarities
from hashret.sparse import Features
from hashret.specs import VectorSpec

_SAMPLE = 1000  # number of payloads from which a width is suggested


class VectorFeaturizer(CentredFeaturizer[VectorSpec]):
    """The mean of the vectors and their mean standard deviation."""

    @property
    def n_features(self) -> int:
        """The width of a vector, in bits where these are packed."""
        return len(self._mean)

    @classmethod
    def suggest_spec(cls, payloads: Sequence[Payload]) -> VectorSpec:
        """The width that most of the first 1,000 vectors have; the others must have it too."""
        arrays = (payload for payload in payloads[:_SAMPLE] if isinstance(payload, np.ndarray))
        widths = Counter(len(array) for array in arrays if array.ndim == 1 and len(array))
        for width, _ in widths.most_common(1):
            return VectorSpec(n_features=width)
        return VectorSpec()

    @classmethod
    def prepare(cls, payload: Payload, spec: VectorSpec) -> np.ndarray:
        """The vector as (n_features,) float32; packed bits as (n_features // 8,) uint8.

        Raises `PayloadError` for another shape or width, numbers that are not finite in float32,
        a vector of length zero, which points nowhere, and what are not bytes where bits are packed.
        """
        if spec.packed:
            return _bytes_of(payload, spec)
        try:
            with np.errstate(over="ignore"):
                vector = np.asarray(payload, np.float32)
        except (TypeError, ValueError):
            raise PayloadError(
                f"vector: expected numbers, got {type(payload).__name__}; pass a 1-D float array"
            ) from None
        if vector.shape != (spec.n_features,):
            raise PayloadError(
                f"vector: expected {spec.n_features} numbers, got shape {vector.shape}; "
                "use the model that made the collection's vectors",
                "wrong-width",
            )
        if not np.isfinite(vector).all():
            raise PayloadError(
                "vector: expected finite numbers, got NaN or infinity; leave it out", "not-finite"
            )
        with np.errstate(over="ignore", under="ignore"):
            squared_length = float(np.square(vector).sum())
        if squared_length == 0.0:
            raise PayloadError(
                "vector: expected a length above 0, got none in float32; leave it out", "zero-norm"
            )
        if math.isinf(squared_length):
            raise PayloadError(
                "vector: expected a length whose square is finite in float32, got infinity; "
                "scale the vectors down",
                "overflow",
            )
        return vector

    @classmethod
    def keep(cls, payload: Payload) -> bytes:
        """The vector, in integers if these were given, else in float32, as bytes.

        Raises `PayloadError` as `prepare`; of integers, which may be bits, only for another shape.
        """
        try:
            given = np.asarray(payload)
        except ValueError:  # rows of several lengths
            given = np.asarray(None)
        if given.ndim != 1 or not given.size:
            raise PayloadError(
                f"vector: expected a row of numbers, got {given.dtype} of shape {given.shape}; "
                "pass a 1-D float array",
                "wrong-width",
            )
        if given.dtype.kind in "iu":
            return vector_as_bytes(given)
        return vector_as_bytes(cls.prepare(payload, VectorSpec(n_features=given.size)))

    @classmethod
    def kept(cls, data: bytes) -> np.ndarray:
        """The vector that was kept."""
        return vector_of(data)

    @classmethod
    def fit(cls, prepared: Iterable[np.ndarray], spec: VectorSpec) -> Self:
        """Learn mean and scale in one pass, in float64; of packed bits there are none to learn."""
        n, total, squares = 0, np.zeros(spec.n_features), 0.0
        for vector in prepared:
            n += 1
            if spec.packed:
                continue
            wide = _compared(vector[None], spec)[0].astype(np.float64)
            total += wide
            squares += float(wide @ wide)
        if n == 0:
            raise EmptyCorpusError("vectors: expected at least one, got none; check the sources")
        if spec.packed:  # of unit length and times this, each bit is -1 or 1
            return cls(spec, total.astype(np.float32), float(np.float32(math.sqrt(len(total)))))
        mean = total / n
        variance = max(squares / n - float(mean @ mean), 0.0) / max(spec.n_features, 1)
        scale = 1.0 / math.sqrt(variance) if variance > 1e-24 else 1.0
        return cls(spec, mean.astype(np.float32), float(np.float32(scale)))

    def transform(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """(n, n_features) float32: (x - mean) * scale, x of unit length for cosine; bits are ±1.

        A vector far from those that were fitted can overflow to infinity; whoever encodes refuses
        it by that.
        """
        if self.spec.packed and len(prepared):
            return np.where(Codes(np.stack(prepared)).bits, np.float32(1), np.float32(-1))
        stacked = (
            np.stack(prepared) if len(prepared) else np.empty((0, self.n_features), np.float32)
        )
        with np.errstate(over="ignore", invalid="ignore"):
            return (_compared(stacked, self.spec) - self._mean) * np.float32(self._scale)

    def left_out(self, prepared: Any | None, features: Features, most: int) -> LeftOut:
        """The vector with each of its numbers as it is on the average: its feature is 0.

        Of packed bits, which have no average, with each of them turned.
        """
        row = np.asarray(features, np.float32)[0]
        chosen = heaviest(np.abs(row), most)
        left = np.repeat(row[None], len(chosen), axis=0)
        left[np.arange(len(chosen)), chosen] = -row[chosen] if self.spec.packed else 0.0
        numbers = [Number(i) for i in chosen.tolist()]
        return LeftOut(numbers, numbers, np.where(row[chosen] < 0, -1.0, 1.0), left, len(row))

    def restored(self, decoded: np.ndarray, usual: np.ndarray) -> np.ndarray:
        """The vectors, (n, n_features) float32, of unit length if compared by cosine.

        Packed bits are (n, n_features // 8) uint8.
        """
        if self.spec.packed:
            return Codes.pack(decoded > 0).packed
        vectors = decoded / np.float32(self._scale) + self._mean
        if self.spec.metric == "cosine":
            lengths = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True))
            vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
        return vectors.astype(np.float32)

    def noise_of(self, payload: Any, denoiser: Denoising) -> float:
        """The noise of one vector or of rows of them; see `NoisyVectors.noise`."""
        return self._noisy(payload).noise(denoiser)

    def denoised(self, payload: Any, denoiser: Denoising, noise: float) -> np.ndarray:
        """One vector or rows of them without their noise, in the same shape and dtype."""
        return same_form(self._noisy(payload).denoised(denoiser, noise), np.asarray(payload))

    def _noisy(self, payload: Any) -> NoisyVectors:
        rows = np.stack([self.prepare(row, self.spec) for row in rows_of(payload)])
        return NoisyVectors(rows, self._mean, self._scale, self.spec.metric == "cosine")

    def similarities(self, query: Features, features: Features) -> np.ndarray:
        """The cosine of the vectors or minus their Euclidean distance, as the metric says."""
        distances = -similarities(query, features) / self._scale
        return 1.0 - np.square(distances) / 2.0 if self.spec.metric == "cosine" else -distances

    @classmethod
    def from_tensors(cls, spec: VectorSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a fitted featurizer. Raises `DamagedError` if the arrays don't fit the spec."""
        mean = tensors["mean"]
        if mean.shape != (spec.n_features,) or mean.dtype != np.float32:
            raise DamagedError(
                f"model: expected a mean of {spec.n_features} numbers, got {mean.dtype} of shape "
                f"{mean.shape}; train it again"
            )
        return cls(spec, mean, float(tensors["scale"][0]))

    @classmethod
    def digest(cls, payload: Any, hasher: Hasher) -> None:
        """Hash the numbers as float32."""
        try:
            with np.errstate(over="ignore"):
                hasher.update(np.ascontiguousarray(payload, np.float32).tobytes())
        except (TypeError, ValueError):
            raise PayloadError(
                f"vector: expected numbers, got {type(payload).__name__}; pass a 1-D float array"
            ) from None


def _bytes_of(payload: Payload, spec: VectorSpec) -> np.ndarray:
    """Packed bits as (n_features // 8,) uint8: int8 is uint8 - 128, as embedding models give it.

    Whole numbers of another type, as JSON has them, are taken if their range says which they are.
    """
    try:
        given = np.asarray(payload)
    except ValueError:  # rows of several lengths
        given = np.asarray(None)
    packed = None
    if given.dtype in (np.uint8, np.int8):
        packed = given
    elif given.dtype.kind in "iuf" and given.size and (given == np.rint(given)).all():
        lowest, highest = given.min(), given.max()
        if lowest >= 0 and 127 < highest <= 255:
            packed = given.astype(np.uint8)
        elif -128 <= lowest < 0 and highest <= 127:
            packed = given.astype(np.int8)
    if packed is None or not packed.size or packed.shape != (spec.n_features // 8,):
        got = f"{given.dtype} of shape {given.shape}" if given.dtype != object else "no numbers"
        raise PayloadError(
            f"vector: expected packed bits, {spec.n_features // 8} bytes of uint8 or int8, got "
            f"{got}; pack floats as np.packbits(vector > 0)",
            "not-packed" if packed is None else "wrong-width",
        )
    return packed if packed.dtype == np.uint8 else packed.view(np.uint8) ^ np.uint8(0x80)


def _compared(vectors: np.ndarray, spec: VectorSpec) -> np.ndarray:
    """The rows as the metric compares them, (n, n_features) float32: unit length for cosine.

    Rows are first rounded to whole numbers small enough for their squares to have an exact sum,
    so a row's length does not depend on the order of summation, hence not on batch or machine.
    """
    if spec.metric != "cosine":
        return vectors
    digits = min(20, (53 - math.ceil(math.log2(spec.n_features + 1))) // 2)
    peaks = np.abs(vectors).max(axis=1, keepdims=True).astype(np.float64)
    whole = np.rint(vectors / peaks * 2.0**digits)
    lengths = np.sqrt(np.square(whole).sum(axis=1, keepdims=True))
    return (whole / lengths).astype(np.float32)
