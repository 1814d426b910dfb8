"""Images as pixels at a chosen size, centred.

Only the first frame of a file is read, and turned as EXIF says; transparent areas become white. The
whole image is resized to the chosen size, whatever its proportions: cropping would lose what is at
the edges, and padding would make the frame the strongest feature. The same pixels give the same
features, whether they come as a file, as its bytes or as an array (except for JPEGs with more than
`pictures.MAX_PIXELS`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self, cast

import numpy as np

from hashret.errors import DamagedError, EmptyCorpusError, PayloadError
from hashret.features import former_levels
from hashret.features.base import Hasher
from hashret.features.centred import CentredFeaturizer
from hashret.features.kept import image_as_bytes, image_of
from hashret.features.left_out import LeftOut, Place
from hashret.features.levels import (
    Means,
    kept_means,
    learned_ranges,
    levels,
    means_of,
    pixels_of,
    require_in_range,
)
from hashret.features.looks import looks
from hashret.features.noise.denoising import Denoising
from hashret.features.noise.images import denoised_image, noise_of_image, picture_of
from hashret.features.pictures import digest
from hashret.items import Payload
from hashret.rank import similarities
from hashret.sparse import Features
from hashret.specs import ImageSpec

_STEPS = 256  # steps of a level, in which sums are exact
_BLOCK = 64  # number of images whose looks are computed at a time
#: Rows, and columns, of the grid of places that are left out one by one.
PLACES = 6
_SAMPLE = 64  # number of payloads from which a size is suggested


class ImageFeaturizer(CentredFeaturizer[ImageSpec]):
    """The mean image of the corpus and one scale for all pixels."""

    @property
    def n_features(self) -> int:
        """height x width x channels."""
        return self.spec.height * self.spec.width * self.spec.channels

    @classmethod
    def suggest_spec(cls, payloads: Sequence[Payload]) -> ImageSpec:
        """The spec with the images' size if that is the same for all and at most 32 x 32.

        Otherwise the size is 32 x 32. The spec is for grey if every image of the sample is grey.
        """
        forms = []
        for payload in cls.sample(payloads):
            with suppress(PayloadError):
                forms.append(cls.form(payload))
        return cls.spec_of(forms)

    @staticmethod
    def sample(payloads: Sequence[Any]) -> Sequence[Any]:
        """The payloads, at most about 64, from which a spec is suggested; all `Means`, if these."""
        if payloads and isinstance(payloads[0], Means):
            return payloads
        return payloads[:: max(1, len(payloads) // _SAMPLE)]

    @staticmethod
    def form(payload: Payload | Means) -> tuple[int, int, int]:
        """Height, width and channels (1 for grey, 3) of one payload. Raises `PayloadError`."""
        pixels = payload.values if isinstance(payload, Means) else pixels_of(payload)
        height, width, channels = pixels.shape
        return height, width, channels

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
    def prepare(cls, payload: Payload | Means, spec: ImageSpec) -> Means | np.ndarray:
        """The image as `transform` takes it: its `Means`, or bytes if `spec.reading` is 1.

        Raises `PayloadError` with the reason, also if its numbers are on another scale than the
        corpus's and that is known already.
        """
        if spec.reading == 1:
            return former_levels.pixels(cast(Payload, payload), spec)
        means = means_of(payload, spec.height, spec.width, spec.channels)
        if spec.ranges:
            require_in_range(means, spec.ranges)
        return means

    @classmethod
    def keep(cls, payload: Payload) -> bytes:
        """The image's `kept_means`, as bytes. Raises `PayloadError`."""
        return image_as_bytes(*kept_means(payload))

    @classmethod
    def kept(cls, data: bytes) -> Means:
        """The `Means` that were kept, which `prepare` and `form` take in place of the image."""
        return Means(*image_of(data))

    @classmethod
    def fit(cls, prepared: Iterable[Means | np.ndarray], spec: ImageSpec) -> Self:
        """Learn black and white, the mean image and the scale, in integers."""
        images = list(prepared)
        if not images:
            raise EmptyCorpusError("images: expected at least one, got none; check the sources")
        if spec.reading > 1 and not spec.ranges:
            spec = replace(spec, ranges=learned_ranges(cast(list[Means], images)))
        total, squares = np.zeros((spec.height, spec.width, spec.channels), np.int64), 0
        for pixels in _levels(images, spec):
            steps = np.rint(pixels * _STEPS).astype(np.int64)
            total += steps
            squares += int((steps * steps).sum())
        mean = total / (len(images) * _STEPS)
        variance = squares / _STEPS**2 / len(images) / mean.size - float((mean * mean).mean())
        scale = 1.0 / np.sqrt(variance) if variance > 1e-6 else 1.0 / 255.0
        return cls(spec, mean.astype(np.float32), float(np.float32(scale)))

    def alike(self, versions: Callable[[np.ndarray], Sequence[np.ndarray]]) -> Self:
        """The featurizer whose mean image equals its `versions`, mirrored images for example.

        The features of a mirrored image are then those of the image, mirrored.
        """
        same = versions(self._mean[None].astype(np.float64))
        mean = np.mean(same, axis=0)[0]
        return type(self)(self.spec, mean.astype(np.float32), self._scale)

    def transform(self, prepared: Sequence[Means | np.ndarray]) -> np.ndarray:
        """(n, n_features) float32: (level - mean) * scale, row by row of the image."""
        if not len(prepared):
            return np.empty((0, self.n_features), np.float32)
        return self._features(np.stack(list(_levels(prepared, self.spec))))

    def _features(self, pixels: np.ndarray) -> np.ndarray:
        centred: np.ndarray = (pixels - self._mean) * np.float32(self._scale)
        return centred.reshape(len(pixels), self.n_features)

    def looks(
        self, features: np.ndarray, responses: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """The `features.looks` of images, by which copies are found, (n, n_looks) float32.

        `responses` is a function from features to a model's filter responses.
        """

        def of_levels(pixels: np.ndarray) -> np.ndarray:
            return responses(self._features(pixels.astype(np.float32)))

        starts = range(0, len(features), _BLOCK)
        blocks = [features[start : start + _BLOCK] for start in starts] or [features]
        return np.concatenate([looks(self._levels_of(block), of_levels) for block in blocks])

    def _levels_of(self, features: np.ndarray) -> np.ndarray:
        """The levels, (n, height, width, channels) float64, that features were made of, exactly.

        They are in steps, so rounding gives them back.
        """
        shape = (-1, self.spec.height, self.spec.width, self.spec.channels)
        scaled = features.reshape(shape) / np.float64(self._scale) + self._mean
        return np.asarray(np.rint(scaled * _STEPS) / _STEPS)

    def left_out(self, prepared: Any | None, features: Features, most: int) -> LeftOut:
        """The image with each place of a grid painted over with the colour around it.

        The colour is the mean of the pixels next to the place, a whole level. So a place that looks
        like what is around it is hardly changed: painted in the image's mean, a plain background
        would become a thing.
        """
        image = self._levels_of(np.asarray(features))[0]
        boxes = _grid(*image.shape[:2])[:most]
        painted = np.stack([_painted(image, box) for box in boxes]).astype(np.float32)
        height, width = image.shape[:2]
        places = [
            Place(left / width, top / height, (right - left) / width, (bottom - top) / height)
            for top, bottom, left, right in boxes
        ]
        return LeftOut(places, places, np.ones(len(boxes)), self._features(painted), len(boxes))

    def restored(self, decoded: np.ndarray, usual: np.ndarray) -> np.ndarray:
        """The images, (n, height, width, channels) uint8."""
        return np.clip(np.rint(self._levels_of(decoded)), 0, 255).astype(np.uint8)

    def shown(self, features: np.ndarray) -> list[Means]:
        """The images that features were made of, as the model sees them."""
        return [Means("8", 1.0, image) for image in self._levels_of(features)]

    def noise_of(self, payload: Payload, denoiser: Denoising) -> float:
        """The noise of an image of any size; see `noise.images.noise_of_image`."""
        return noise_of_image(picture_of(payload).pixels, self.spec, denoiser)

    def denoised(self, payload: Payload, denoiser: Denoising, noise: float) -> np.ndarray:
        """The image of any size without its noise; see `noise.images.denoised_image`."""
        return denoised_image(picture_of(payload).pixels, self.spec, denoiser, noise)

    def spans(self, features: Features) -> np.ndarray:
        """The difference between each image's lightest and darkest level, (n,) float64."""
        mean = self._mean.reshape(-1)
        pixels = (row / np.float32(self._scale) + mean for row in np.asarray(features))
        return np.array([np.ptp(one) for one in pixels], np.float64)

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
        """Update a hash with the content of an image; see `pictures.digest`."""
        digest(payload, hasher)


def _grid(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """The places of an image, row by row: top, bottom, left and right of each, in pixels."""
    rows, columns = (
        [(i * length // count, (i + 1) * length // count) for i in range(count)]
        for length, count in ((n, min(PLACES, n)) for n in (height, width))
    )
    return [(*row, *column) for row in rows for column in columns]


def _painted(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The image (height, width, channels) with a box in the mean level of the pixels around it."""
    top, bottom, left, right = box
    around = np.zeros(image.shape[:2], bool)
    around[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = True
    around[top:bottom, left:right] = False
    colour = image[around] if around.any() else image.reshape(-1, image.shape[2])
    painted = image.copy()
    painted[top:bottom, left:right] = np.rint(colour.mean(axis=0))
    return painted


def _levels(prepared: Iterable[Any], spec: ImageSpec) -> Iterator[np.ndarray]:
    """Each image as (height, width, channels) float32."""
    for one in prepared:
        yield one.astype(np.float32) if spec.reading == 1 else levels(one, spec.ranges)
