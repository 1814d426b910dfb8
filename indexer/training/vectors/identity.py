"""The trainer for vectors that are bits already, which learns nothing."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hashret.errors import TrainingError
from hashret.models.identity import IdentityEncoder
from hashret.sparse import n_distinct, require_dense
from hashret.specs.encoders import IdentitySpec
from indexer.training.options import TrainingOptions
from indexer.training.recipe import IdentityRecipe
from indexer.training.report import StageReport, TrainingReport, bit_balance
from indexer.training.training_set import TrainingSet
from indexer.training.watching import Watching

if TYPE_CHECKING:
    from indexer.training.checkpoints import Checkpoints


class IdentityTrainer:
    """Takes the bits of the features, as -1 and 1, as the codes."""

    def __init__(
        self,
        items: TrainingSet,
        options: TrainingOptions,
        recipe: IdentityRecipe,
        watching: Watching | None = None,
        checkpoints: Checkpoints | None = None,
    ):
        self._features = require_dense(items.features, "the preset 'identity'")
        self._options = options
        if not (np.abs(self._features) == 1.0).all():
            raise TrainingError(
                "preset: expected packed bits for 'identity', got other numbers; pass "
                "--packed-bits (in Python, VectorSpec(packed=True)), or another preset"
            )

    def learn(self, n_bits: int) -> tuple[IdentityEncoder, TrainingReport]:
        """The encoder that returns the bits; raises TrainingError unless there are n_bits."""
        began = time.perf_counter()
        given = self._features.shape[1]
        if n_bits != given:
            raise TrainingError(
                f"n_bits: expected {given}, as the vectors have, for the preset 'identity', got "
                f"{n_bits}; leave it out, or another preset learns codes of this length"
            )
        encoder = IdentityEncoder(IdentitySpec(given))
        codes = encoder.encode(self._features)
        stage = StageReport(
            "given",
            time.perf_counter() - began,
            bit_balance=bit_balance(codes),
            n_distinct=codes.n_distinct(),
        )
        options = replace(self._options, n_bits=n_bits)
        report = TrainingReport(options, len(self._features), "cpu", False, [stage])
        if n_distinct(self._features) < 2:
            report.warnings.append("items: all have the same code; index more than one thing")
        return encoder, report
