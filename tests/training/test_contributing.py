"""What a contributor touches: a bottleneck or an objective two files, a trunk four.

Parts defined here train by rows in the tables alone; and of the parts there are, no file but the
tables and their own names them.
"""

import ast
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hashret.models.dense import DenseEncoder
from indexer.training import TrainingOptions, train
from indexer.training.networks.autoencoder import Autoencoder
from indexer.training.networks.bottleneck import Bottleneck, Coded, Final, LogitMoments, normalise
from indexer.training.networks.dense import DenseTrunk, Linear
from indexer.training.objectives import CodedBatch, SquaredTarget
from indexer.training.parts import PARTS, Dense
from indexer.training.presets import PRESETS, TRAINERS
from indexer.training.recipe import Bottleneck as BottleneckSettings
from indexer.training.recipe import Recipe, Target, Term
from indexer.tuning.settings import Setting, space_of
from tests.training.corpora import grouped_points
from tests.training.recipes import changed

ROOT = Path(__file__).parents[2]
PARTS_FILE, PRESETS_FILE = "indexer/training/parts.py", "indexer/training/presets.py"


@dataclass(frozen=True, slots=True)
class Stepped(BottleneckSettings):
    """Bits from the first step on, without noise."""

    slope: float = 4.0


class SteppedBottleneck(Bottleneck):
    """Straight-through rounding, in a file of its own."""

    def __call__(self, raw: Tensor, done: float) -> Coded:
        soft = torch.sigmoid(self.settings.slope * normalise(raw.float()))
        return Coded(soft + ((soft > 0.5).float() - soft).detach())

    def final(self, raw: np.ndarray) -> Final:
        return Final(1.0, self.settings.slope)


@dataclass(frozen=True, slots=True)
class Alike(Term):
    """All bits say what the first says."""


class AlikeTerm:
    """The mean squared difference from the first bit."""

    def __init__(self, settings: Alike):
        self.settings = settings

    def __call__(self, batch: CodedBatch) -> Tensor:
        return self.settings.weight * (batch.code - batch.code[:, :1]).square().mean()


@dataclass(frozen=True, slots=True)
class Signs(Target):
    """The signs of the features."""


class SignsTarget(SquaredTarget):
    """Squared error against -1 and 1."""

    def __init__(self, settings: object, items: Any, trunk: Any, device: torch.device):
        super().__init__(settings, items, trunk, device)
        self._rows, self._scale = np.sign(self._features), np.float32(1.0)


@dataclass(frozen=True, slots=True)
class Straight(Dense):
    """Two layers, no hidden one."""

    hidden: tuple[int, ...] = ()


class StraightTrunk(DenseTrunk):
    """One layer down and one up."""

    def network(
        self, n_bits: int, n_raw: int, n_outputs: int | None, generator: torch.Generator
    ) -> Autoencoder:
        width = int(self.features.shape[1])
        down, up = Linear(width, n_raw, generator), Linear(n_bits, n_outputs or width, generator)
        return Autoencoder([down], [up])

    def export(
        self, network: Autoencoder, moments: LogitMoments, logit_scale: float
    ) -> DenseEncoder:
        assert len(network.encoder) == 1
        return super().export(network, moments, logit_scale)


@pytest.fixture
def plain():
    """The smallest recipe: of vectors, without neighbours."""
    recipe = PRESETS["vector"]["dense"].recipe
    assert isinstance(recipe, Recipe)
    return changed(recipe, hidden=(16,), least_steps=60, epochs=12)


def train_with(monkeypatch, recipe, *parts):
    """An encoder by a preset "mine", once the parts stand in the tables; with its items."""
    for settings, part in parts:
        monkeypatch.setitem(PARTS, settings.__name__, f"{part.__module__}:{part.__name__}")
    row = PRESETS["vector"]["dense"]._replace(recipe=recipe)
    monkeypatch.setitem(PRESETS["vector"], "mine", row)
    points, groups = grouped_points(200)
    options = TrainingOptions(n_bits=16, seed=1, device="cpu", preset="mine")
    encoder, report = train(points, "vector", options)
    assert report.options.preset == "mine"
    return encoder, points, groups


def purity(encoder, points, groups):
    """The share of each item's nearest by its code that are of its group; chance is .25."""
    bits = encoder.encode(points).bits.astype(np.int16)
    apart = np.abs(bits[:, None] - bits).sum(axis=2) + np.eye(len(bits)) * 99
    return (groups[np.argsort(apart, axis=1, kind="stable")[:, :10]] == groups[:, None]).mean()


def test_a_new_bottleneck_trains_by_two_rows(monkeypatch, plain):
    recipe = replace(plain, bottleneck=Stepped())
    found = train_with(monkeypatch, recipe, (Stepped, SteppedBottleneck))
    assert purity(*found) > 0.8
    assert space_of("vector", "mine").keys() == {"epochs"}  # it has no noise to be tuned
    assert Setting.default("vector", "mine").rounds == 1
    options = TrainingOptions(preset="mine", rounds=2)
    with pytest.raises(ValueError, match="rounds: expected none or 1 with the preset 'mine'"):
        train(found[1], "vector", options)


def test_a_new_term_is_summed_by_its_weight(monkeypatch, plain):
    def agreement(weight):
        recipe = replace(plain, terms=(Alike(weight),), epochs=60, learning_rate=0.01)
        with monkeypatch.context() as patch:
            encoder, points, _ = train_with(patch, recipe, (Alike, AlikeTerm))
        bits = encoder.encode(points).bits
        return (bits == bits[:, :1])[:, 1:].mean()

    assert agreement(0.0) < 0.75
    assert agreement(50.0) > 0.95


def test_a_new_target_is_what_is_rebuilt(monkeypatch, plain):
    recipe = replace(plain, target=Signs())
    assert purity(*train_with(monkeypatch, recipe, (Signs, SignsTarget))) > 0.8


def test_a_new_trunk_is_made_and_exported(monkeypatch, plain):
    recipe = replace(plain, trunk=Straight())
    encoder, points, groups = train_with(monkeypatch, recipe, (Straight, StraightTrunk))
    assert encoder.spec.hidden == ()
    assert purity(encoder, points, groups) > 0.6


def names_in(path: Path) -> set[str]:
    """Every name that a file defines, imports or uses; of strings those like "module:Class"."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ClassDef | ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value.partition(":")[2])
    return found


NAMES = {
    path.relative_to(ROOT).as_posix(): names_in(path)
    for package in ("hashret", "indexer")
    for path in (ROOT / package).rglob("*.py")
}
#: Settings that a trunk is built from as well: another trunk may stand on its class.
_SHARED = {"Dense"}


def files_that_name(*names: str) -> set[str]:
    return {path for path, found in NAMES.items() if found & set(names)}


@pytest.mark.parametrize("settings", sorted(set(PARTS) - _SHARED))
def test_a_part_is_named_in_the_tables_and_in_its_own_file(settings):
    module, _, name = PARTS[settings].partition(":")
    own = module.replace(".", "/") + ".py"
    if settings == "Corruption":  # a part of every recipe
        assert files_that_name(name) >= {PARTS_FILE, own}
        return
    assert files_that_name(name) == {PARTS_FILE, own}
    assert files_that_name(settings) <= {PARTS_FILE, PRESETS_FILE, own}


def test_a_trunk_with_an_encoder_of_its_own_takes_five_files():
    assert files_that_name("Conv", "ConvTrunk", "ConvEncoder", "ConvSpec") == {
        "hashret/models/conv.py",
        "hashret/specs/encoders.py",
        "indexer/training/networks/conv.py",
        PARTS_FILE,
        PRESETS_FILE,
    }


def test_no_file_asks_for_a_preset_or_a_trainer_by_name():
    names = {name for rows in PRESETS.values() for name in rows} | set(TRAINERS)
    for path in NAMES:
        if not path.startswith(("indexer/training/", "indexer/tuning/")):
            continue
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                asked = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
                assert not asked & names, f"{path}:{node.lineno} asks for a preset by name"


def test_no_file_of_training_asks_for_the_type_of_rows():
    for path in NAMES:
        if not path.startswith(("indexer/training/", "indexer/tuning/")):
            continue
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
                assert "SparseRows" not in ast.dump(node.args[1]), f"{path}:{node.lineno}"
