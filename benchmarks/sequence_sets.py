"""The sequences of `benchmarks.sequences`: made ones, and those of a wheel."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_N_DATABASE, _N_QUERIES, _N_CLASSES = 480, 160, 8


@dataclass(frozen=True, slots=True)
class Labelled:
    """Sequences with the class of each, and how many of them, the first, are the database."""

    payloads: Sequence[Any]
    labels: np.ndarray
    n_database: int


def made_tokens(_: Path | None) -> Labelled:
    """Eight orders of the same twelve tokens, each gone through twice, a third of steps swapped."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(12) for _ in range(_N_CLASSES)]

    def one(label: int) -> list[str]:
        tokens = np.tile(orders[label], 2)
        return [f"t{token}" for token in _swapped(tokens, rng)]

    return _made(one, rng)


def made_numbers(_: Path | None) -> Labelled:
    """Eight courses of the same 32 numbers, with a third of the steps swapped."""
    rng = np.random.default_rng(1)
    values = np.linspace(-1.5, 1.5, 32)
    up, halves = np.arange(32), np.r_[0:32:2, 31:0:-2]
    courses = [up, up[::-1], halves, 31 - halves, np.roll(up, 16), np.roll(up[::-1], 16)]
    courses += [up.reshape(2, 16).T.ravel(), up.reshape(4, 8).T.ravel()]

    def one(label: int) -> np.ndarray:
        return _swapped(values[courses[label]], rng)

    return _made(one, rng)


def _made(one: Callable[[int], Any], rng: np.random.Generator) -> Labelled:
    labels = rng.permutation(np.arange(_N_DATABASE + _N_QUERIES) % _N_CLASSES)
    return Labelled([one(label) for label in labels.tolist()], labels, _N_DATABASE)


def _swapped(steps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The steps with about a third of them in the place of their neighbour: the same values."""
    steps = steps.copy()
    for i in rng.choice(len(steps) - 1, len(steps) // 6, replace=False):
        steps[[i, i + 1]] = steps[[i + 1, i]]
    return steps


def _archive(name: str) -> Callable[[Path | None], Labelled]:
    """A set of the archive in aeon's wheel: its training part is the database."""

    def load(wheel: Path | None) -> Labelled:
        if wheel is None:
            raise SystemExit(f"{name}: expected the wheel of aeon, got none; pass --aeon")
        with zipfile.ZipFile(wheel) as files:
            parts = [
                _series(files.read(f"aeon/datasets/data/{name}/{name}_{part}.ts").decode())
                for part in ("TRAIN", "TEST")
            ]
        payloads = [series for part in parts for series, _ in part]
        labels = np.array([label for part in parts for _, label in part])
        return Labelled(payloads, labels, len(parts[0]))

    return load


def _series(text: str) -> list[tuple[np.ndarray, str]]:
    """The series of a .ts file with their labels: columns between colons, steps between commas."""
    lines = (line.strip() for line in text.partition("@data")[2].splitlines())
    found = []
    for line in filter(None, lines):
        *columns, label = line.split(":")
        steps = np.array([[float(one) for one in column.split(",")] for column in columns])
        found.append((steps.T, label))
    return found


def _drawn(labelled: Labelled) -> Labelled:
    """The same sequences with four fifths of them, drawn anew, as the database."""
    order = np.random.default_rng(0).permutation(len(labelled.payloads))
    payloads = [labelled.payloads[i] for i in order.tolist()]
    return Labelled(payloads, labelled.labels[order], len(order) * 4 // 5)


SETS: dict[str, Callable[[Path | None], Labelled]] = {
    "made tokens": made_tokens,
    "made numbers": made_numbers,
    "JapaneseVowels": _archive("JapaneseVowels"),
    # the archive's own split has 67 items in one part
    "ItalyPowerDemand": lambda wheel: _drawn(_archive("ItalyPowerDemand")(wheel)),
}
