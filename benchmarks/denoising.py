"""Noise taken out of images by `hashret denoise`, beside PCA, total variation and wavelets.

    python -m benchmarks.denoising [--datasets DIR] [--results FILE] [--write-docs] [--picture FILE]

Of Fashion-MNIST (learned from the database, tested on 200 queries) and of photographs (learned from
1,200 of them, tested on the 128 x 128 pixels in the middle of 200 others). Normal noise is added to
levels from 0 to 1 and not cut, or the noisy images are cut at black and white, as files are. PSNR
is the mean over images, in dB; all results, and the noisy images, are cut at black and white. Each
control has the noise told, and the setting that is best on other images: the number of components,
the weight of total variation (Chambolle), the rule of the wavelets' thresholds (scikit-image).
hashret is told the noise too, or has to estimate it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from benchmarks.datasets import Dataset, default_root, load
from benchmarks.page_sections import write_section
from benchmarks.result_lines import Key, read, record
from hashret.decoders.patch_denoiser import PatchDenoiser
from hashret.features.image import ImageFeaturizer
from hashret.features.noise.images import patches_of as patches_of_image
from hashret.specs import ImageSpec
from indexer.ingest.prepare import Preparer
from indexer.training.denoising.lesson import patches_of
from indexer.training.denoising.network import MOST_PATCHES, SIDE, taught_patch_denoiser
from indexer.training.options import TrainingOptions

ROOT = Path(__file__).resolve().parents[1]
_PAGE = ROOT / "docs" / "family.md"
_NOISES = (0.1, 0.2)
_TESTED, _CHOSEN_ON = 200, 20
_CROPPED = 128  # pixels, the side of what of a photograph is tested: in its own resolution
_SIDE = 8  # of the patches of PCA, as of those of the network

Images = list[np.ndarray]
#: Takes noise out of an image (height, width, channels), noise, setting.
Method = Callable[[np.ndarray, float, Any], np.ndarray]


class Parts:
    """Clean images in levels from 0 to 1: to learn from, to choose settings on, to test."""

    def __init__(self, dataset: Dataset):
        rng = np.random.default_rng(0)
        if dataset.leave_one_out:  # photographs, which have no queries
            order = rng.permutation(dataset.database)
            queries, database = np.split(order, [len(order) // 5])
            queries = queries[:_TESTED]
        else:
            queries = rng.permutation(dataset.queries)[:_TESTED]
            database = rng.permutation(dataset.database)
        self.payloads = dataset.part(database)
        self.chosen_on = [_middle(_read(one)) for one in self.payloads[-_CHOSEN_ON:]]
        self.tested = [_middle(_read(one)) for one in dataset.part(queries)]


def _read(payload: Any) -> np.ndarray:
    pixels = np.asarray(Image.open(payload)) if isinstance(payload, Path) else payload
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return pixels.astype(np.float32) / 255


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = (max(0, (length - _CROPPED) // 2) for length in image.shape[:2])
    return image[top : top + _CROPPED, left : left + _CROPPED]


def psnr(clean: np.ndarray, found: np.ndarray) -> float:
    """The peak signal-to-noise ratio in dB, of levels from 0 to 1."""
    return float(-10 * np.log10(np.square(np.clip(found, 0, 1) - clean).mean()))


def noisy(images: Images, noise: float, *, is_cut: bool) -> Images:
    """The images with noise, the same in every run."""
    rng = np.random.default_rng(1)
    found = [(one + rng.normal(0, noise, one.shape)).astype(np.float32) for one in images]
    return [np.clip(one, 0, 1) for one in found] if is_cut else found


class Components:
    """PCA of vectors: the best number of components is kept, the others are left out."""

    def __init__(self, rows: np.ndarray):
        self.mean = rows.mean(axis=0)
        self.directions = np.linalg.eigh(np.cov(rows, rowvar=False))[1][:, ::-1]
        self.directions = self.directions.astype(np.float32)

    def kept(self, rows: np.ndarray, count: int) -> np.ndarray:
        """The rows with so many components."""
        kept = self.directions[:, :count]
        return np.asarray((rows - self.mean) @ kept @ kept.T + self.mean)


def of_patches(components: Components) -> Method:
    """Overlapping patches by PCA, and the mean over them."""

    def method(image: np.ndarray, noise: float, count: int) -> np.ndarray:
        if image.shape[2] * _SIDE**2 < len(components.mean):  # grey among colours
            colours = len(components.mean) // _SIDE**2
            return method(image.repeat(colours, 2), noise, count).mean(2, keepdims=True)
        edge, (height, width, channels) = _SIDE - 1, image.shape
        padded = np.pad(image, ((edge, edge), (edge, edge), (0, 0)), "symmetric")
        windows = sliding_window_view(padded, (_SIDE, _SIDE), axis=(0, 1))
        down, across = windows.shape[:2]
        rows = windows.transpose(0, 1, 3, 4, 2).reshape(down * across, -1)
        found = components.kept(rows, count).reshape(down, across, _SIDE, _SIDE, channels)
        total = np.zeros_like(padded)
        for y in range(_SIDE):
            for x in range(_SIDE):
                total[y : y + down, x : x + across] += found[:, :, y, x]
        return total[edge : edge + height, edge : edge + width] / _SIDE**2

    return method


def whole(components: Components) -> Method:
    """Images of one size by PCA."""
    return lambda image, noise, count: components.kept(image.reshape(1, -1), count).reshape(
        image.shape
    )


def total_variation(image: np.ndarray, noise: float, weight: float) -> np.ndarray:
    """Chambolle's algorithm."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, weight=weight * noise, channel_axis=2)


def wavelets(image: np.ndarray, noise: float, rule: tuple[str, str]) -> np.ndarray:
    """Thresholded wavelets."""
    from skimage.restoration import denoise_wavelet

    method, mode = rule
    return denoise_wavelet(
        image,
        sigma=noise,
        method=method,
        mode=mode,
        channel_axis=2,
        convert2ycbcr=image.shape[2] == 3,
        rescale_sigma=True,
    )


def methods(parts: Parts, patches: np.ndarray) -> dict[str, tuple[Method, list[Any]]]:
    """What hashret is compared with: the method, and the settings to choose from."""
    counts = [4, 7, 10, 15, 20, 30, 40, 60, 90]
    found: dict[str, tuple[Method, list[Any]]] = {
        "PCA of patches": (of_patches(Components(patches)), counts),
    }
    if max(parts.tested[0].shape) < _CROPPED:  # images of one size
        rows = np.stack([_read(one).reshape(-1) for one in parts.payloads[:10_000]])
        counts = [20, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400]
        found["PCA of images"] = whole(Components(rows)), counts
    rules = [(m, mode) for m in ("BayesShrink", "VisuShrink") for mode in ("soft", "hard")]
    weights = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.3]
    return found | {
        "total variation": (total_variation, weights),
        "wavelets": (wavelets, rules),
    }


def learned(parts: Parts) -> tuple[PatchDenoiser, np.ndarray]:
    """The denoiser that indexing the payloads learns, and the patches that it learned from."""
    preparer = Preparer("image")
    try:
        spec = preparer.suggest_spec(parts.payloads)
        few = [one for one in preparer.prepare(parts.payloads[:100], spec) if one is not None]
        featurizer = ImageFeaturizer.fit(few, ImageSpec(spec.height, spec.width, spec.channels))
        rng = np.random.default_rng([0, 3])
        patches = patches_of(featurizer, parts.payloads, np.empty((0, 0)), preparer.patches, rng)
    finally:
        preparer.close()
    denoiser, report = taught_patch_denoiser(patches, TrainingOptions())
    print(f"learned in {report.seconds:.1f} s from {sum(map(len, patches))} patches", flush=True)
    return denoiser, np.concatenate(patches).reshape(-1, patches[0][0].size)


def measure(name: str, datasets: Path, results: Path) -> None:
    """Measure what is not in the file yet, method by method."""
    done = read(results)
    parts = Parts(load(name, datasets))
    denoiser, patches = learned(parts)
    every = methods(parts, patches)
    for noise in _NOISES:
        for is_cut in (False, True):
            seen, chosen_on = (
                noisy(images, noise, is_cut=is_cut) for images in (parts.tested, parts.chosen_on)
            )

            def put(
                method: str, found: Images, setting: Any = None, key: Any = (noise, is_cut)
            ) -> None:
                psnrs = [psnr(*pair) for pair in zip(parts.tested, found, strict=True)]
                figures = {"psnr": float(np.mean(psnrs)), "n": len(psnrs)}
                record(results, done, (name, method, *key), figures)
                if setting is not None:
                    print(f"    with {setting}", flush=True)

            put("noisy", [np.clip(one, 0, 1) if is_cut else one for one in seen])
            put("hashret", [denoiser.denoised(one, noise) for one in seen])
            blind = [denoiser.denoised(one, denoiser.noise_of(one)) for one in seen]
            put("hashret, noise estimated", blind)
            for method, (apply, settings) in every.items():
                if (name, method, noise, is_cut) in done:
                    continue

                def score(
                    setting: Any,
                    apply: Method = apply,
                    given: Images = chosen_on,
                    noise: float = noise,
                ) -> float:
                    found = [apply(one, noise, setting) for one in given]
                    return float(
                        np.mean([psnr(*p) for p in zip(parts.chosen_on, found, strict=True)])
                    )

                best = max(settings, key=score)
                put(method, [apply(one, noise, best) for one in seen], best)


def table(done: dict[Key, Any]) -> str:
    """The figures as a table in Markdown: a row a method, a column a set, noise and cut."""
    columns = list(dict.fromkeys((name, *how) for name, _, *how in done))
    rows = list(dict.fromkeys(method for _, method, *_ in done))
    heads = [f"{name} {noise}{', cut' if is_cut else ''}" for name, noise, is_cut in columns]
    lines = [f"| | {' | '.join(heads)} |", "|---|" + "---|" * len(columns)]
    for method in rows:
        found = [done.get((name, method, *how)) for name, *how in columns]
        cells = ["" if one is None else f"{one['figures']['psnr']:.2f}" for one in found]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_docs(done: dict[Key, Any]) -> None:
    write_section(_PAGE, "denoising", table(done))


def draw(path: Path) -> None:
    """A photograph that may be shown, noisy and denoised by what four others taught."""
    from skimage import data

    spec, noise = ImageSpec(32, 32, 3), 0.15
    others = [data.coffee(), data.cat(), data.rocket(), data.immunohistochemistry()]
    patches = [patches_of_image(one, spec, SIDE, MOST_PATCHES // 8, 0) for one in others]
    denoiser, _ = taught_patch_denoiser(patches, TrainingOptions())
    clean = _read(data.astronaut())[20:220, 120:320]
    (seen,) = noisy([clean], noise, is_cut=True)
    found = np.clip(denoiser.denoised(seen, noise), 0, 1)
    print(f"{psnr(clean, seen):.2f} to {psnr(clean, found):.2f} dB")
    strip = np.concatenate([clean, seen, found], axis=1)
    Image.fromarray(np.rint(strip * 255).astype(np.uint8)).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=Path, default=default_root())
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "denoising.jsonl")
    parser.add_argument("--only", choices=("fmnist", "photos"))
    parser.add_argument("--write-docs", action="store_true", help="of what is in the file")
    parser.add_argument("--picture", type=Path, help="draw an example, and measure nothing")
    arguments = parser.parse_args()
    if arguments.picture is not None:
        draw(arguments.picture)
        return
    if arguments.write_docs:
        write_docs(read(arguments.results))
        return
    for name in ("fmnist", "photos") if arguments.only is None else (arguments.only,):
        measure(name, arguments.datasets, arguments.results)


if __name__ == "__main__":
    main()
