"""The verdict of a training: what makes codes healthy, and what is said where they are not."""

import numpy as np
import pytest

from hashret.codes import Codes
from hashret.sparse import SparseRows
from indexer.training.options import TrainingOptions
from indexer.training.report import StageReport, TrainingReport
from indexer.training.verdict import doubts, neighbours_kept, verdict_of


class Signs:
    """Codes that are the signs of the features, or of noise."""

    def __init__(self, noise=None):
        self.noise = noise

    def encode(self, features):
        features = np.asarray(features) if self.noise is None else self.noise[: len(features)]
        return Codes.pack(features > 0)


def clusters(n, rng):
    centres = rng.normal(size=(12, 64)) * 2
    return (centres[np.arange(n) % 12] + rng.normal(size=(n, 64))).astype(np.float32)


def test_neighbours_are_kept_by_codes_that_follow_the_features_and_not_by_chance():
    rng = np.random.default_rng(0)
    features = clusters(600, rng)
    assert neighbours_kept(features, Signs()) > 0.9
    by_chance = neighbours_kept(features, Signs(rng.normal(size=(600, 64))))
    assert abs(by_chance - 0.5) < 0.08
    assert neighbours_kept(features, Signs(np.ones((600, 64)))) == 0.5  # all codes are one
    assert neighbours_kept(features[:19], Signs()) is None


def test_neighbours_kept_as_counted_one_by_one():
    rng = np.random.default_rng(1)
    features = clusters(40, rng)
    bits = features > 0
    shares = []
    for i in range(40):
        others = [j for j in range(40) if j != i]
        nearest = min(others, key=lambda j: np.linalg.norm(features[i] - features[j]))
        far = [(bits[i] != bits[j]).sum() - (bits[i] != bits[nearest]).sum() for j in others]
        shares.append(np.mean([(one > 0) + 0.5 * (one == 0) for one in far]))
    assert neighbours_kept(features, Signs()) == pytest.approx(np.mean(shares))


def test_sparse_features_too():
    eye = SparseRows(np.arange(31), np.arange(30, dtype=np.int32) % 5, np.ones(30, np.float32), 5)

    class Columns:
        def encode(self, rows):
            return Codes.pack(np.eye(8, dtype=bool)[rows.indices])

    assert neighbours_kept(eye, Columns()) > 0.9


def report(kept=0.95, saturated=0.95, balance=(0.45, 0.5, 0.55), warnings=()):
    stages = [
        StageReport("pre-train 1", 1.0, 0.3),
        StageReport("fine-tune", 1.0, 0.5, 2.0, saturated, balance, 980),
    ]
    made = TrainingReport(TrainingOptions(), 1000, "cpu", False, stages, list(warnings), kept)
    made.warnings += doubts(made)
    return made


@pytest.mark.parametrize(
    ("figures", "looks", "warning"),
    [
        ({}, "codes look healthy", None),
        ({"saturated": None}, "codes look healthy", None),
        ({"kept": 0.6}, "codes are doubtful", "nearer than only 60% of the others"),
        ({"saturated": 0.4}, "codes are doubtful", "only 40% of the bits are sure"),
        ({"balance": (0.1, 0.5, 0.6)}, "codes work, but some bits tell little", None),
        ({"warnings": ["codes: collapsed"]}, "codes are doubtful", "codes: collapsed"),
    ],
)
def test_the_verdict(figures, looks, warning):
    made = report(**figures)
    said = verdict_of(made)
    assert said.startswith(f"{looks}: 980 different ones for 1,000 items; each bit is 1 for ")
    assert [one for one in made.warnings if warning and warning in one] == made.warnings
    assert bool(made.warnings) == bool(warning)


def test_nothing_is_said_where_nothing_was_learned_or_items_are_too_few_to_tell():
    assert verdict_of(report(kept=None)) == ""
    assert verdict_of(TrainingReport(TrainingOptions(), 9, "cpu", False)) == ""
