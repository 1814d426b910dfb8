"""How good are made-up items? Likelihood, whether bits are fair, and whether samples are copies.

    python -m benchmarks.generation [--sets digits,fmnist] [--items N] [--write-docs]

The likelihood is a lower bound of that of queries, whose pixels are coins that show white as often
as they are bright: how published variational autoencoders of these sets are measured. A code is a
function of its item, so the bound of a model of hashret is log p(code) + log p(pixels | code), by
the kept decoder and by what codes are drawn from. Beside it is a variational autoencoder as it was
published (Kingma and Welling, ICLR 2014), of about as many weights, trained here on the same items
for that bound. Distances are root mean squares over pixels, in shares of the range.

Precision is the share of decoded samples within the reach of decoded queries, recall that of
decoded queries within the reach of samples, where the reach of an image is the distance of its
third neighbour (Kynkaanniemi et al., NeurIPS 2019, here on pixels).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page_sections import write_section
from benchmarks.result_lines import Key, read, record
from hashret.codes import Codes
from hashret.decoders.priors import ChowLiuTree, Prior, TreeMixture

ROOT = Path(__file__).resolve().parents[1]
_PAGE = ROOT / "docs" / "family.md"
_N_BITS = 64
_PRESETS = ("variational", "patches")
_SAMPLES, _ASKED = 1_000, 1_000
_REACH = 3  # the neighbour at whose distance the reach of an image ends
#: The chance of a pixel, at least and at most: half a grey level of 256.
_SUREST = 1 / 512
#: Of the published autoencoder: units of its two hidden layers, steps of 128 items.
_VAE_UNITS, _VAE_STEPS = 512, 4_000
_VAE = "variational autoencoder, as published"
_HEADS = ["set", "model", "codes drawn from", "log p(code)", "bound, nats", "bits a pixel"]
_HEADS += ["nearest item", "copies", "precision", "recall"]


@dataclass(frozen=True, slots=True)
class FairBits:
    """Each bit is a fair coin: what a variational model is taught its codes to be."""

    n_bits: int

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """n codes, drawn independently."""
        return Codes.pack(rng.random((n, self.n_bits)) < 0.5)

    def log_probabilities(self, codes: Codes) -> np.ndarray:
        """The natural logarithm of each code's probability, (n,) float64."""
        return np.full(len(codes), -self.n_bits * np.log(2.0))


def images(name: str, root: Path | None, n: int) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Items and queries from 0 to 1, and the shape of an image."""
    if name == "digits":
        from sklearn.datasets import load_digits

        rows = np.random.default_rng(0).permutation(load_digits().data / 16).astype(np.float32)
        return rows[400:][:n], rows[:400], (8, 8, 1)
    from benchmarks.datasets import default_root, load

    dataset = load(name, root or default_root()).subsample(n, _ASKED)
    parts = [np.stack(dataset.part(rows)) for rows in (dataset.database, dataset.queries)]
    known, asked = (part.reshape(len(part), -1).astype(np.float32) / 255 for part in parts)
    height, width = parts[0].shape[1:3]
    return known, asked, (height, width, known.shape[1] // (height * width))


def of_preset(
    known: np.ndarray, asked: np.ndarray, shape: tuple[int, ...], preset: str
) -> dict[str, Any]:
    """The figures of a preset."""
    from indexer.training import train
    from indexer.training.decoder import taught_decoder
    from indexer.training.options import TrainingOptions

    encoder, report = train(
        known, "image", TrainingOptions(n_bits=_N_BITS, preset=preset), shape=shape
    )
    decoder, _ = taught_decoder(known, encoder, report.options)
    stored, codes = encoder.encode(known), encoder.encode(asked)
    told = decoder.decode(codes)
    pixels = _of_coins(asked, told)
    figures = _fairness(stored)
    priors: dict[str, Prior] = {
        "fair bits": FairBits(_N_BITS),
        "one tree": ChowLiuTree.of(stored),
        "trees": TreeMixture.of(stored),
    }
    figures["nearest, queries"] = float(np.median(_nearest(asked, known)))
    figures["nearest, decoded queries"] = float(np.median(_nearest(told, known)))
    closest = np.quantile(_nearest(told, known), 0.01)
    for name, prior in priors.items():
        figures[f"log p(code), {name}"] = float(prior.log_probabilities(codes).mean())
        figures[f"bound, {name}"] = pixels + figures[f"log p(code), {name}"]
        drawn = prior.draw(_SAMPLES, np.random.default_rng(0))
        made = decoder.decode(drawn)
        near = _nearest(made, known)
        figures[f"nearest, {name}"] = float(np.median(near))
        figures[f"copies, {name}"] = float((near < closest).mean())
        figures[f"stored, {name}"] = _share_stored(drawn, stored)
        figures[f"precision, {name}"] = _within_reach(made, told)
        figures[f"recall, {name}"] = _within_reach(told, made)
    return figures


def _fairness(codes: Codes) -> dict[str, float]:
    """How often bits are 1, and how they go together."""
    bits = codes.bits.astype(np.float64)
    ones = bits.mean(axis=0)
    correlations = np.abs(np.corrcoef(bits[:, (ones > 0) & (ones < 1)], rowvar=False))
    pairs = correlations[np.triu_indices(len(correlations), 1)]
    return {
        "ones, least": float(ones.min()),
        "ones, most": float(ones.max()),
        "correlation, mean": float(pairs.mean()),
        "correlation, most": float(pairs.max()),
    }


def _of_coins(pixels: np.ndarray, chances: np.ndarray) -> float:
    """The mean log-likelihood of images whose pixels are drawn, by these chances of white."""
    sure = np.clip(chances, _SUREST, 1 - _SUREST)
    return float((pixels * np.log(sure) + (1 - pixels) * np.log1p(-sure)).sum(axis=1).mean())


def _distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = (rows**2).sum(1)[:, None] + (others**2).sum(1) - 2 * rows @ others.T
    return np.asarray(np.sqrt(np.maximum(squares, 0) / rows.shape[1]))


def _nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance of each row to the nearest of the others."""
    return np.asarray(_distances(rows, others).min(axis=1))


def _within_reach(rows: np.ndarray, others: np.ndarray) -> float:
    """The share of rows that are within the reach of one of the others."""
    reach = np.sort(_distances(others, others), axis=1)[:, _REACH]
    return float((_distances(rows, others) <= reach).any(axis=1).mean())


def _share_stored(drawn: Codes, stored: Codes) -> float:
    known = {row.tobytes() for row in stored.packed}
    return float(np.mean([row.tobytes() in known for row in drawn.packed]))


def published(known: np.ndarray, asked: np.ndarray) -> dict[str, float]:
    """The bound of a variational autoencoder with normal latent numbers, as many as bits."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    rng, n = np.random.default_rng(0), known.shape[1]

    def layers(n_in: int, n_out: int) -> nn.Sequential:
        hidden = [nn.Linear(n_in, _VAE_UNITS), nn.ReLU(), nn.Linear(_VAE_UNITS, _VAE_UNITS)]
        return nn.Sequential(*hidden, nn.ReLU(), nn.Linear(_VAE_UNITS, n_out))

    up, down = layers(n, 2 * _N_BITS), layers(_N_BITS, n)
    optimiser = torch.optim.Adam([*up.parameters(), *down.parameters()], lr=1e-3)

    def bound(rows: torch.Tensor) -> torch.Tensor:
        mean, log_variance = up(rows).chunk(2, dim=1)
        drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        coins = functional.binary_cross_entropy_with_logits(down(drawn), rows, reduction="none")
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
        return -coins.sum(dim=1) - divergence.sum(dim=1)

    rows = torch.from_numpy(known)
    best, last = -np.inf, rows[: len(rows) // 10]  # a tenth says when it is at its best
    for step in range(_VAE_STEPS):
        batch = torch.from_numpy(rng.integers(len(last), len(rows), 128))
        optimiser.zero_grad()
        (-bound(rows[batch]).mean()).backward()
        optimiser.step()
        if (step + 1) % 250 == 0:
            with torch.no_grad():
                held = float(bound(last).mean())
                if held > best:
                    best = held
                    found = float(bound(torch.from_numpy(asked).repeat(8, 1)).mean())
    return {"bound": found}


def table(done: dict[Key, Any]) -> str:
    """The figures as a table in Markdown."""
    lines = [
        f"| {' | '.join(_HEADS)} |",
        "|---|" + "---|" * (len(_HEADS) - 1),
    ]
    for (name, _, model), row in done.items():
        figures = row["figures"]
        pixels = 64 if name == "digits" else 784

        def bits(bound: float, pixels: int = pixels) -> str:
            return f"{bound:.1f} | {-bound / pixels / np.log(2):.3f}"

        if "bound" in figures:
            lines.append(
                f"| {name} | {_VAE} | normal numbers | | {bits(figures['bound'])} | | | | |"
            )
            continue
        for prior in ("fair bits", "one tree", "trees"):
            of = {key.removesuffix(f", {prior}"): value for key, value in figures.items()}
            lines.append(
                f"| {name} | `{model}` | {prior} | {of['log p(code)']:.1f} | {bits(of['bound'])} "
                f"| {of['nearest']:.3f} | {of['copies']:.1%} | {of['precision']:.2f} "
                f"| {of['recall']:.2f} |"
            )
        lines.append(
            f"| {name} | queries, decoded; queries themselves | | | | "
            f"| {figures['nearest, decoded queries']:.3f}; {figures['nearest, queries']:.3f} "
            "| 1.0% | | |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="digits,fmnist")
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "generation.jsonl")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    done = read(arguments.results)
    for name in filter(None, arguments.sets.split(",")):
        known, asked, shape = images(name, arguments.datasets, arguments.items)
        for model in (*_PRESETS, "published"):
            key = (name, arguments.items, model)
            if key not in done:
                measured = (
                    published(known, asked)
                    if model == "published"
                    else of_preset(known, asked, shape, model)
                )
                record(arguments.results, done, key, measured)
    print(table(done))
    if arguments.write_docs:
        write_section(_PAGE, "generation", table(done))


if __name__ == "__main__":
    main()
