"""Codes as compression: the squared error of what decoders make of them, beside PCA and files.

    python -m benchmarks.compression [--items N] [--datasets DIR] [--results FILE] [--write-docs]

Of Fashion-MNIST and of sentence embeddings. All learn from the same N items of the database; errors
are of the queries, as a share of their variance around the database's mean. PCA keeps the
coordinates in as many bits as a code: those whose error is reduced most get one more bit each, and
a Lloyd-Max quantiser (Lloyd, IEEE TIT 1982) of theirs learns its levels from the items. JPEG, PNG,
WebP and Zstandard take an item by itself, headers and all; Zstandard with a dictionary of 16 KiB
from the items as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from PIL import Image

from benchmarks.datasets import Dataset, default_root, load
from benchmarks.page_sections import write_section
from benchmarks.result_lines import Key, read, record

ROOT = Path(__file__).resolve().parents[1]
_PAGE = ROOT / "docs" / "family.md"
_LENGTHS = (64, 256)
_TESTED = 2_000
_MOST_BITS = 6  # of a coordinate
_ITERATIONS = 30  # of Lloyd's algorithm
#: The presets whose codes are decoded, by kind.
_PRESETS = {"image": ("rebuilding", "patches"), "vector": ("rebuilding", "towers")}


def quantised_pca(database: np.ndarray, queries: np.ndarray, n_bits: int) -> np.ndarray:
    """What n_bits of PCA's coordinates say of the queries."""
    mean = database.mean(axis=0)
    directions = np.linalg.eigh(np.cov(database, rowvar=False))[1][:, ::-1][:, : 2 * n_bits]
    known, asked = (database - mean) @ directions, (queries - mean) @ directions
    levels = [[np.zeros(1)] for _ in range(known.shape[1])]
    errors = [[float(np.square(column).mean())] for column in known.T]

    def refined(at: int) -> None:
        if len(levels[at]) <= _MOST_BITS:
            found = _lloyd_max(known[:, at], 1 << len(levels[at]))
            levels[at].append(found)
            errors[at].append(float(np.square(known[:, at] - _nearest(known[:, at], found)).mean()))

    for at in range(known.shape[1]):
        refined(at)
    bits = np.zeros(known.shape[1], int)
    for _ in range(n_bits):
        gains = [
            e[b] - e[b + 1] if b + 1 < len(e) else -1.0 for e, b in zip(errors, bits, strict=True)
        ]
        best = int(np.argmax(gains))
        bits[best] += 1
        refined(best)
    told = [_nearest(asked[:, i], levels[i][b]) for i, b in enumerate(bits)]
    return np.asarray(np.stack(told, axis=1) @ directions.T + mean)


def _lloyd_max(values: np.ndarray, count: int) -> np.ndarray:
    """So many levels, increasing, of which the nearest ones are near to the values."""
    levels = np.quantile(values, (np.arange(count) + 0.5) / count)
    for _ in range(_ITERATIONS):
        of = np.searchsorted((levels[1:] + levels[:-1]) / 2, values)
        counts = np.bincount(of, minlength=count)
        means = np.bincount(of, values, count) / np.maximum(counts, 1)
        levels = np.sort(np.where(counts > 0, means, levels))
    return levels


def _nearest(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return np.asarray(levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, values)])


def decoded(
    dataset: Dataset, database: np.ndarray, queries: np.ndarray, n_bits: int, preset: str
) -> np.ndarray:
    """What the kept decoder says of the queries' codes; both are features."""
    from indexer.training import train
    from indexer.training.decoder import taught_decoder
    from indexer.training.options import TrainingOptions

    shape = (28, 28, 1) if dataset.kind == "image" else None
    options = TrainingOptions(n_bits=n_bits, preset=preset)
    encoder, report = train(database, dataset.kind, options, shape=shape)
    decoder, _ = taught_decoder(database, encoder, report.options)
    return decoder.decode(encoder.encode(queries))


def share(queries: np.ndarray, found: np.ndarray, mean: np.ndarray) -> float:
    """The squared error as a share of the variance around the mean."""
    return float(np.square(queries - found).sum() / np.square(queries - mean).sum())


def file_forms(kind: str) -> dict[str, Callable[[np.ndarray], tuple[int, np.ndarray]]]:
    """Forms of a file: from an item to its bytes, and to what is read back."""

    def picture(form: str, **how: Any) -> Callable[[np.ndarray], tuple[int, np.ndarray]]:
        def put(item: np.ndarray) -> tuple[int, np.ndarray]:
            stream = BytesIO()
            Image.fromarray(item).save(stream, form, **how)
            size = stream.tell()
            with Image.open(stream) as image:
                return size, np.asarray(image.convert("L"))

        return put

    if kind == "image":
        return {
            "JPEG, quality 1": picture("JPEG", quality=1, optimize=True),
            "JPEG, quality 50": picture("JPEG", quality=50, optimize=True),
            "WebP, quality 0": picture("WEBP", quality=0, method=6),
            "PNG": picture("PNG", optimize=True),
            "WebP, lossless": picture("WEBP", lossless=True, method=6),
        }

    def whole(item: np.ndarray) -> tuple[int, np.ndarray]:
        step = np.abs(item).max() / 127
        return len(item) + 4, np.rint(item / step) * step

    return {"int8, one scale a vector": whole}


def raw_forms(dataset: Dataset, database: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    """Bytes an item of Zstandard on the raw bytes, alone and with a dictionary of the items."""
    dtype = np.uint8 if dataset.kind == "image" else np.float16
    samples = [row.astype(dtype).tobytes() for row in database[:5_000]]
    asked = [row.astype(dtype).tobytes() for row in queries]
    alone = zstandard.ZstdCompressor(level=19)
    found = {"Zstandard": float(np.mean([len(alone.compress(one)) for one in asked]))}
    words = zstandard.train_dictionary(16 << 10, samples)
    helped = zstandard.ZstdCompressor(level=19, dict_data=words)
    found["Zstandard, with a dictionary"] = float(
        np.mean([len(helped.compress(one)) for one in asked])
    )
    return found


def measure(name: str, arguments: argparse.Namespace, done: dict[Key, Any]) -> None:
    """Measure what is not in the file yet, method by method."""
    dataset = load(name, arguments.datasets)
    n = min(arguments.items, len(dataset.database))
    dataset = dataset.subsample(n, _TESTED)
    database, queries = (
        np.stack(dataset.part(rows)) for rows in (dataset.database, dataset.queries)
    )
    flat = (
        database.reshape(n, -1).astype(np.float32),
        queries.reshape(len(queries), -1).astype(np.float32),
    )
    mean = flat[0].mean(axis=0)
    scale = np.float32(1 / (flat[0] - mean).std())
    features = tuple((part - mean) * scale for part in flat)

    def put(method: str, n_bytes: float, measured: Callable[[], np.ndarray] | None) -> None:
        key = (name, n, method, round(n_bytes, 1))
        if key not in done:
            error = 0.0 if measured is None else share(flat[1], measured(), mean)
            record(arguments.results, done, key, {"bytes": n_bytes, "error": error})

    for n_bits in _LENGTHS:
        put("PCA, quantised", n_bits / 8, lambda n_bits=n_bits: quantised_pca(*flat, n_bits))
        for preset in _PRESETS[dataset.kind]:
            put(
                f"codes, `{preset}`",
                n_bits / 8,
                lambda n_bits=n_bits, preset=preset: (
                    decoded(dataset, *features, n_bits, preset) / scale + mean
                ),
            )
    for form, write in file_forms(dataset.kind).items():
        sizes, found = zip(*[write(item) for item in queries], strict=True)
        back = np.stack(found).reshape(len(queries), -1)
        put(form, float(np.mean(sizes)), lambda back=back: back)
    for form, size in raw_forms(dataset, *flat).items():
        put(form, size, None)


def table(done: dict[Key, Any], n_items: int) -> str:
    """The figures as a table in Markdown."""
    lines = [
        "| set | what is kept | bytes an item | error, share of variance |",
        "|---|---|---|---|",
    ]
    rows = [(*key, row["figures"]) for key, row in done.items() if key[1] == n_items]
    for name, _, method, _, figures in sorted(rows, key=lambda row: (row[0], row[4]["bytes"])):
        lines.append(f"| {name} | {method} | {figures['bytes']:,.0f} | {figures['error']:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=6_000)
    parser.add_argument("--datasets", type=Path, default=default_root())
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "compression.jsonl")
    parser.add_argument("--only", choices=("fmnist", "20ng-minilm"))
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    done = read(arguments.results)
    if not arguments.write_docs:
        for name in ("20ng-minilm", "fmnist") if arguments.only is None else (arguments.only,):
            measure(name, arguments, done)
    print(table(done, arguments.items))
    if arguments.write_docs:
        write_section(_PAGE, "compression", table(done, arguments.items))


if __name__ == "__main__":
    main()
