"""Costs measured where the process runs: sound numbers, and a planner that goes by them."""

from dataclasses import asdict, fields

import numpy as np
import pytest

from hashret.codes import Codes
from hashret.indexes.planner import calibration, cost_model
from hashret.indexes.planner.cost_model import Costs
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.scan import ScanIndex
from tests.indexes.reference import as_lists, make_codes


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch):
    monkeypatch.setattr(cost_model, "_measured", {})


def test_every_cost_is_measured_or_known(kernels):
    measured = calibration.measure(n_codes=1 << 15)
    known = cost_model.NUMPY if kernels == "numpy" else cost_model.COMPILED
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
    numbers = asdict(cost_model.NUMPY)
    assert calibration.from_numbers(numbers) == cost_model.NUMPY
    assert calibration.from_numbers(asdict(cost_model.COMPILED)) == cost_model.COMPILED
    damage(numbers)
    assert calibration.from_numbers(numbers) is None


def test_the_planner_goes_by_what_was_measured(kernels):
    codes = Codes.pack(make_codes("clustered", 20_000, 64, np.random.default_rng(0)))
    with_kernels = kernels == "compiled"
    dear = dict.fromkeys(("scan_word", "flat_word", "multi_work"), 1000000.0)
    cost_model.use(Costs(**(asdict(cost_model.current(with_kernels)) | dear)), with_kernels)
    index = PlannedIndex(codes)
    found = index.within(codes[:20], 1)
    assert found.work.path == "table"
    assert as_lists(found) == as_lists(ScanIndex(codes).within(codes[:20], 1))
    cost_model.use(
        Costs(**(asdict(cost_model.current(with_kernels)) | {"table_probe": 1e12})), with_kernels
    )
    assert index.within(codes[:20], 1).work.path != "table"
