"""Costs measured where the process runs: sound numbers, and a planner that goes by them."""

import numpy as np
import pytest

from hashret.codes import Codes
from hashret.indexes.planner import calibration, cost_model
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.scan import ScanIndex
from tests.indexes.reference import as_lists, make_codes


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch):
    monkeypatch.setattr(cost_model, "_measured", {})


def test_every_cost_is_measured_or_known(kernels):
    measured = calibration.measure(n_codes=1 << 15)
    known = cost_model.as_numbers(cost_model.GIVEN[kernels == "compiled"])
    numbers = cost_model.as_numbers(measured)
    assert all(0 <= value < 1e12 for value in numbers.values())
    changed = {name for name, value in numbers.items() if value != known[name]}
    assert {"scan.word", "table.query", "multi-index.query", "multi-index.work"} <= changed
    assert cost_model.from_numbers(numbers) == measured


@pytest.mark.parametrize(
    "damage",
    [
        lambda numbers: numbers.pop("scan.word"),
        lambda numbers: numbers.update({"scan.word": -1.0}),
        lambda numbers: numbers.update({"scan.word": 0.0}),
        lambda numbers: numbers.update({"scan.word": float("nan")}),
        lambda numbers: numbers.update({"scan.word": float("inf")}),
        lambda numbers: numbers.update({"scan.word": "1"}),
        lambda numbers: numbers.update(more=1.0),
    ],
)
def test_numbers_that_make_no_costs_are_none(damage):
    for given in cost_model.GIVEN.values():
        numbers = cost_model.as_numbers(given)
        assert cost_model.from_numbers(numbers) == given
    damage(numbers)
    assert cost_model.from_numbers(numbers) is None


def test_the_planner_goes_by_what_was_measured(kernels):
    codes = Codes.pack(make_codes("clustered", 20_000, 64, np.random.default_rng(0)))
    with_kernels = kernels == "compiled"
    numbers = cost_model.as_numbers(cost_model.current(with_kernels))
    numbers |= dict.fromkeys(("scan.word", "faiss-flat.word", "multi-index.work"), 1000000.0)
    cost_model.use(cost_model.from_numbers(numbers), with_kernels)
    index = PlannedIndex(codes)
    found = index.within(codes[:20], 1)
    assert found.work.path == "table"
    assert as_lists(found) == as_lists(ScanIndex(codes).within(codes[:20], 1))
    numbers["table.probe"] = 1e12
    cost_model.use(cost_model.from_numbers(numbers), with_kernels)
    assert index.within(codes[:20], 1).work.path != "table"
