"""Costs measured where the process runs: sound numbers, and a planner that goes by them."""

from dataclasses import asdict, fields

import numpy as np
import pytest

from hashret.codes import Codes
from hashret.indexes import calibration, costs
from hashret.indexes.costs import Costs
from hashret.indexes.planner import PlannedIndex
from hashret.indexes.scan import ScanIndex
from tests.indexes.reference import as_lists, make_codes


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch):
    monkeypatch.setattr(costs, "_measured", {})


def test_every_cost_is_measured_or_known(kernels):
    measured = calibration.measure(n_codes=1 << 15)
    known = costs.NUMPY if kernels == "numpy" else costs.COMPILED
    assert all(0 <= value < 1e12 for value in asdict(measured).values())
    changed = [f.name for f in fields(Costs) if getattr(measured, f.name) != getattr(known, f.name)]
    assert {"scan_word", "table_query", "multi_query", "multi_work"} <= set(changed)
    assert calibration.from_numbers(asdict(measured)) == measured


@pytest.mark.parametrize(
    "damage",
    [
        lambda numbers: numbers.pop("scan_word"),
        lambda numbers: numbers.update(scan_word=-1.0),
        lambda numbers: numbers.update(scan_word=0.0),
        lambda numbers: numbers.update(scan_word=float("nan")),
        lambda numbers: numbers.update(scan_word=float("inf")),
        lambda numbers: numbers.update(scan_word="1"),
        lambda numbers: numbers.update(more=1.0),
    ],
)
def test_numbers_that_make_no_costs_are_none(damage):
    numbers = asdict(costs.NUMPY)
    assert calibration.from_numbers(numbers) == costs.NUMPY
    assert calibration.from_numbers(asdict(costs.COMPILED)) == costs.COMPILED
    damage(numbers)
    assert calibration.from_numbers(numbers) is None


def test_the_planner_goes_by_what_was_measured(kernels):
    codes = Codes.pack(make_codes("clustered", 20_000, 64, np.random.default_rng(0)))
    with_kernels = kernels == "compiled"
    dear = dict.fromkeys(("scan_word", "flat_word", "multi_work"), 1000000.0)
    costs.use(Costs(**(asdict(costs.current(with_kernels)) | dear)), with_kernels)
    index = PlannedIndex(codes)
    found = index.within(codes[:20], 1)
    assert index.last_path == "table"
    assert as_lists(found) == as_lists(ScanIndex(codes).within(codes[:20], 1))
    costs.use(Costs(**(asdict(costs.current(with_kernels)) | {"table_probe": 1e12})), with_kernels)
    index.within(codes[:20], 1)
    assert index.last_path != "table"
