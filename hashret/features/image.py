"""Images as pixels at a chosen size, centred.

Decoding is strict: a short list of formats, a limit on pixels, the first frame, the rotation that
EXIF asks for, the upper bytes of 16-bit images, others scaled by their range, transparency
flattened on white. The whole image is squeezed to the chosen size: cropping would lose what stands
at the edges, and padding would make the frame the strongest feature.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Self

import numpy as np
from PIL import Image, ImageOps

from hashret.errors import DamagedError, EmptyCorpusError, PayloadError
from hashret.features.base import Hasher
from hashret.features.centred import CentredFeaturizer
from hashret.features.pictures import digest, opened
from hashret.items import Payload
from hashret.rank import similarities
from hashret.sparse import Features
from hashret.specs import ImageSpec

_SAMPLE = 64  # payloads looked at to suggest a size


class ImageFeaturizer(CentredFeaturizer[ImageSpec]):
    """The mean image of the corpus and one scale for all pixels."""

    @property
    def n_features(self) -> int:
        """height x width x channels."""
        return self.spec.height * self.spec.width * self.spec.channels

    @classmethod
    def suggest_spec(cls, payloads: Sequence[Payload]) -> ImageSpec:
        """The images' own size where they are all alike and at most 32 x 32, else 32 x 32.

        Grey where every image of the sample is grey.
        """
        forms = []
        for payload in cls.sample(payloads):
            with suppress(PayloadError):
                forms.append(cls.form(payload))
        return cls.spec_of(forms)

    @staticmethod
    def sample(payloads: Sequence[Payload]) -> Sequence[Payload]:
        """The payloads, at most about 64, that are looked at to suggest a spec."""
        return payloads[:: max(1, len(payloads) // _SAMPLE)]

    @staticmethod
    def form(payload: Payload) -> tuple[int, int, int]:
        """Height, width and channels (1 for grey, 3) of one payload. Raises `PayloadError`."""
        image = _decoded(payload, None)
        return image.height, image.width, 1 if image.mode == "L" else 3

    @staticmethod
    def spec_of(forms: Iterable[tuple[int, int, int]]) -> ImageSpec:
        """The spec for images of these forms; see `suggest_spec`."""
        found = set(forms)
        channels = max((c for _, _, c in found), default=3)
        sizes = {(height, width) for height, width, _ in found}
        if len(sizes) == 1 and max(size := sizes.pop()) <= 32:
            return ImageSpec(height=size[0], width=size[1], channels=channels)
        return ImageSpec(channels=channels)

    @classmethod
    def prepare(cls, payload: Payload, spec: ImageSpec) -> np.ndarray:
        """The image as (height, width, channels) uint8. Raises `PayloadError` with the reason."""
        image = _decoded(payload, spec).convert("RGB" if spec.channels == 3 else "L")
        if image.size != (spec.width, spec.height):
            image = image.resize((spec.width, spec.height), Image.Resampling.BOX)
        return np.asarray(image, np.uint8).reshape(spec.height, spec.width, spec.channels)

    @classmethod
    def fit(cls, prepared: Iterable[np.ndarray], spec: ImageSpec) -> Self:
        """Learn the mean image and the scale in one pass, in integers."""
        shape = (spec.height, spec.width, spec.channels)
        n, total, squares = 0, np.zeros(shape, np.int64), 0
        for pixels in prepared:
            wide = pixels.astype(np.int64)
            total += wide
            squares += int((wide * wide).sum())
            n += 1
        if n == 0:
            raise EmptyCorpusError("images: expected at least one, got none; check the sources")
        mean = total / n
        variance = squares / n / mean.size - float((mean * mean).mean())
        scale = 1.0 / np.sqrt(variance) if variance > 1e-6 else 1.0 / 255.0
        return cls(spec, mean.astype(np.float32), float(np.float32(scale)))

    def transform(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """(n, n_features) float32: (pixel - mean) * scale, row by row of the image."""
        if not len(prepared):
            return np.empty((0, self.n_features), np.float32)
        pixels = np.stack(prepared).astype(np.float32)
        centred: np.ndarray = (pixels - self._mean) * np.float32(self._scale)
        return centred.reshape(len(prepared), -1)

    def similarities(self, query: Features, features: Features) -> np.ndarray:
        """Minus the Euclidean distance of the features; see `rank.similarities`."""
        return similarities(query, features)

    @classmethod
    def from_tensors(cls, spec: ImageSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a fitted featurizer. Raises `DamagedError` if the arrays don't fit the spec."""
        mean, shape = tensors["mean"], (spec.height, spec.width, spec.channels)
        if mean.shape != shape or spec.channels not in (1, 3) or mean.dtype != np.float32:
            raise DamagedError(
                f"model: expected a mean image of shape {shape}, got {mean.dtype} of shape "
                f"{mean.shape}; train it again"
            )
        return cls(spec, mean, float(tensors["scale"][0]))

    @classmethod
    def digest(cls, payload: Payload, hasher: Hasher) -> None:
        """Hash a file's bytes, or form and numbers of what is decoded; see `pictures.digest`."""
        digest(payload, hasher)


def _decoded(payload: Payload, spec: ImageSpec | None) -> Image.Image:
    """An upright image of mode L or RGB, whatever came in."""
    if isinstance(payload, np.ndarray):
        return _plain(_from_array(payload))
    with opened(payload) as image:
        if spec is not None and not isinstance(payload, Image.Image):
            # a JPEG is decoded at a fraction of its size at once; the caller's own stays as it is
            image.draft(None, (2 * spec.width, 2 * spec.height))
        image.load()
        return _plain(ImageOps.exif_transpose(image))


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    right_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not right_shape or 0 in array.shape:
        raise PayloadError(
            f"image: expected an array of (height, width) or (height, width, 1, 3 or 4), "
            f"got shape {array.shape}; one image at a time"
        )
    if array.dtype != np.uint8:
        array = _to_bytes(array)
    return Image.fromarray(np.ascontiguousarray(array))


def _to_bytes(array: np.ndarray) -> np.ndarray:
    """An array of another type than uint8, in any byte order, as bytes. Raises `PayloadError`.

    Unsigned integers of 16 bits are an image of that depth, whatever they hold: the upper byte is
    kept. Any other integers must be 0 to 255 and are those bytes: no depth is known for them, and
    one guessed from what an image holds would give two images of a corpus two scales. For floats
    see `_stretched`.
    """
    kind = array.dtype.kind
    if kind == "b":
        return array.astype(np.uint8) * 255
    if kind == "u" and array.dtype.itemsize == 2:
        return (array >> 8).astype(np.uint8)
    if kind in "iu":
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255:
            raise PayloadError(
                f"image: expected 0 to 255 in an array of {array.dtype.name}, got {low} to "
                f"{high}; convert it to uint8, to uint16 (a depth of 16 bits) or to floats from "
                "0 to 1"
            )
        return array.astype(np.uint8)
    if kind != "f":
        raise PayloadError(f"image: expected an array of numbers, got {array.dtype}; convert it")
    return _stretched(array)


def _stretched(array: np.ndarray) -> np.ndarray:
    """Numbers by their own range, floats within [0, 1] by that. Raises `PayloadError`."""
    wide = array.astype(np.float64)
    if not np.isfinite(wide).all():
        raise PayloadError(
            "image: expected finite numbers, got NaN or infinity; leave it out", "not-finite"
        )
    low, high = float(wide.min()), float(wide.max())
    if array.dtype.kind == "f" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    span = high - low
    return np.rint((wide - low) * (255.0 / span if span else 0.0)).astype(np.uint8)


def _plain(image: Image.Image) -> Image.Image:
    """Mode L or RGB: transparency on white, wide integers and floats scaled, the rest converted."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        array = np.asarray(image)
        # Pillow opens most 16-bit files as 32-bit integers
        if image.mode == "I" and array.min() >= 0 and array.max() < 1 << 16:
            array = array.astype(np.uint16)
        is_deep = array.dtype.kind == "u"  # else of 32 bits or signed: of no depth we know
        return Image.fromarray(_to_bytes(array) if is_deep else _stretched(array))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        flat = Image.alpha_composite(white, rgba).convert("RGB")
        return flat.convert("L") if image.mode in ("LA", "La") else flat
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")
