"""What a denoiser learns from: patches of images in the files' own resolution, or vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hashret.decoders.denoiser import Denoiser
from hashret.features.base import Featurizer
from hashret.sparse import Features
from hashret.specs import ImageSpec, VectorSpec
from hashret.workers.refusals import Refused

if TYPE_CHECKING:
    from hashret.features.image import ImageFeaturizer
    from indexer.training.report import TrainingReport

#: The share of the images that are decoded once more, for their patches, and limits of their
#: number: files of photos take as long to decode as all that is learned from them.
_SHARE, _LEAST_IMAGES, _MOST_IMAGES = 0.1, 64, 4_000

#: Takes patches of images: images, spec, side, most patches of an image, seed
#: (`features.noise.images.patches_of`). An image that can't be read gives its `Refused`.
TakePatches = Callable[[Sequence[Any], Any, int, int, int], list[np.ndarray | Refused]]


def denoiser_for(
    featurizer: Featurizer,
    features: Features,
    payloads: Sequence[Any],
    take_patches: TakePatches,
    report: TrainingReport,
    on_progress: Callable[[str, int, int], None],
) -> Denoiser | None:
    """A denoiser of the items' kind, whose stage is added to the report; None if it has none.

    `payloads` are those that the features were made of, none where only features are stored: then
    images are learned from as the features show them. None also if no decoder is wanted.
    """
    spec, options = featurizer.spec, report.options
    if not options.decoder or len(features) < 2:
        return None
    if isinstance(spec, VectorSpec) and not spec.packed:
        from indexer.training.denoising.covariance import vector_denoiser

        return vector_denoiser(np.asarray(features))
    if not isinstance(spec, ImageSpec):
        return None
    # imported here: torch is slow to load
    from indexer.training.denoising.network import taught_patch_denoiser

    def on_step(stage: str, done: int, total: int, loss: float) -> None:
        on_progress(stage, done, total)

    rng = np.random.default_rng([options.seed, 3])
    images = cast("ImageFeaturizer", featurizer)
    patches = patches_of(images, payloads, np.asarray(features), take_patches, rng)
    denoiser, stage = taught_patch_denoiser(patches, options, on_step)
    report.stages.append(stage)
    return denoiser


def patches_of(
    featurizer: ImageFeaturizer,
    payloads: Sequence[Any],
    features: np.ndarray,
    take_patches: TakePatches,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Patches of a sample of the images, for each (n, SIDE, SIDE, channels), levels from 0 to 1.

    Of the payloads in their own resolution; of the features where no payload can be read.
    """
    from indexer.training.denoising.network import MOST_PATCHES, PATCHES_AN_ITEM, SIDE

    def sampled(n: int) -> np.ndarray:
        wanted = int(np.clip(n * _SHARE, _LEAST_IMAGES, _MOST_IMAGES))
        return np.sort(rng.permutation(n)[:wanted])

    def taken(images: Sequence[Any], n: int) -> list[np.ndarray]:
        most = -(-min(MOST_PATCHES, PATCHES_AN_ITEM * n) // max(1, len(images)))
        made = take_patches(images, featurizer.spec, SIDE, most, int(rng.integers(2**31)))
        return [one for one in made if not isinstance(one, Refused)]

    found = taken([payloads[i] for i in sampled(len(payloads))], len(payloads))
    return found or taken(featurizer.shown(features[sampled(len(features))]), len(features))
