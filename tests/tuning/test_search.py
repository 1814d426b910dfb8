"""The search: it climbs, it keeps its time, and it says what it left out."""

from itertools import product

import pytest

from indexer.tuning import search
from indexer.tuning.search import Deadline, OutOfTimeError, Search
from indexer.tuning.settings import Setting, space_of

SPACE = {"neighbours": (0.25, 0.5, 1.0, 2.0, 4.0), "rounds": (1, 2, 3), "noise": (0.5, 1.0, 2.0)}
DEFAULT = Setting(rounds=2)


class Clock:
    """Time that passes only when something is measured."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(search, "monotonic", lambda: self.now)

    def measuring(self, quality, seconds=1.0):
        def measure(setting):
            self.now += seconds * setting.cost
            return quality(setting)

        return measure


def hill(peak):
    """A quality that falls with each step away from a setting."""

    def quality(setting):
        far = sum(
            abs(values.index(getattr(setting, name)) - values.index(getattr(peak, name)))
            for name, values in SPACE.items()
        )
        return 1.0 - 0.1 * far

    return quality


@pytest.mark.parametrize(
    "peak",
    [
        Setting(neighbours, rounds, noise)
        for neighbours, rounds, noise in product(SPACE["neighbours"], (1, 2, 3), (0.5, 2.0))
    ],
)
def test_it_finds_the_top_of_a_hill(peak, monkeypatch):
    clock = Clock(monkeypatch)
    found = Search(SPACE, clock.measuring(hill(peak)), Deadline.within(1e6), 0.02)
    assert found.run(DEFAULT) == (peak, [])
    assert next(iter(found.measured)) == DEFAULT


@pytest.mark.parametrize("default", [float("nan"), 0.5])
def test_qualities_that_are_no_numbers_are_no_better(default, monkeypatch):
    clock, turns, turn = Clock(monkeypatch), [], Search._round

    def counted(self, best):
        turns.append(best)
        assert len(turns) < 9, "it goes round in circles"
        return turn(self, best)

    def none(setting):
        return default if setting == DEFAULT else float("nan")

    monkeypatch.setattr(Search, "_round", counted)
    best, left = Search(SPACE, clock.measuring(none), Deadline.within(1e6), 0.02).run(DEFAULT)
    assert best == DEFAULT
    assert left == []


def test_what_is_hardly_better_is_not_chosen(monkeypatch):
    clock = Clock(monkeypatch)

    def flat(setting):
        return 1.0 if setting == DEFAULT else 1.015

    best, left = Search(SPACE, clock.measuring(flat), Deadline.within(1e6), 0.02).run(DEFAULT)
    assert best == DEFAULT
    assert left == []


@pytest.mark.parametrize("seconds", [1.0, 3.0, 7.0, 12.0])
def test_nothing_is_begun_that_would_not_end_in_time(seconds, monkeypatch):
    clock = Clock(monkeypatch)
    search_ = Search(SPACE, clock.measuring(hill(Setting(4.0, 3))), Deadline.within(seconds), 0.02)
    best, left = search_.run(DEFAULT)
    assert clock.now <= max(seconds, DEFAULT.cost)  # the first must be begun to know its time
    assert left
    assert not set(left) & set(search_.measured)
    assert best == max(search_.measured, key=search_.measured.__getitem__)


def test_without_time_for_the_default_it_stands_unmeasured():
    def measure(setting):
        raise OutOfTimeError

    best, left = Search(SPACE, measure, Deadline.within(1.0), 0.02).run(DEFAULT)
    assert best == DEFAULT
    assert left == [DEFAULT, *DEFAULT.beside(SPACE)]


@pytest.mark.parametrize(
    ("kind", "preset"), [("text", "dense"), ("vector", "towers"), ("vector", "dense")]
)
def test_every_default_stands_in_its_space(kind, preset):
    default = Setting.default(kind, preset)
    for name, values in space_of(kind, preset).items():
        assert getattr(default, name) in values
