"""A question is checked when it is made, and says what is wrong under the names of its asker."""

import pytest

from hashret.cli.query import _FLAGS
from hashret.search.question import Question, QuestionError

SCORE = {"order": "score"}
WRONG = {
    "k: expected at least 1, got 0": {"k": 0},
    "k: expected a number, got none": {"k": None},
    "radius: expected 0 bits or more, got -1": {"k": None, "radius": -1},
    "probes: expected at least 1, got 0": {"probes": 0, **SCORE},
    "probes: expected asymmetric, got none": {"probes": 3},
    "probes: expected a payload and no distance, got a radius": {"probes": 3, "radius": 1, **SCORE},
    "asymmetric: expected a payload and no distance, got a radius": {"radius": 1, **SCORE},
    "rerank: expected at least k, 10, got 9": {"rerank": 9},
    "rerank: expected none beside radius, got 30": {"k": None, "radius": 3, "rerank": 30},
    "index: expected none beside a condition": {"index": "scan", "where": "year > 1"},
    "index: expected none beside radius": {"index": "scan", "radius": 2},
    "index: expected none beside asymmetric and probes": {"index": "scan", **SCORE},
}


@pytest.mark.parametrize(("said", "asked"), WRONG.items(), ids=WRONG)
def test_what_can_not_be_asked_is_said(said, asked):
    with pytest.raises(QuestionError, match="^" + said) as raised:
        Question(**asked)
    assert isinstance(raised.value, ValueError)
    field, _, _ = said.partition(":")
    assert raised.value.under(_FLAGS).startswith(
        f"{_FLAGS[field if field != 'asymmetric' else 'order']}: expected"
    )


@pytest.mark.parametrize("field", ["k", "radius", "probes", "rerank"])
def test_numbers_are_whole(field):
    asked = {"order": "score"} if field == "probes" else {}
    with pytest.raises(TypeError, match=f"^{field}: expected a whole number, got float 2.5"):
        Question(**asked | {field: 2.5})


@pytest.mark.parametrize(
    ("asked", "depth"),
    [
        ({}, 10),
        ({"k": 3}, 3),
        ({"k": 3, "rerank": 50}, 50),
        ({"k": None, "radius": 2}, None),
        ({"k": 4, "radius": 2}, 4),
        ({"k": 3, "probes": 9, **SCORE}, 3),
    ],
)
def test_how_deep_a_question_goes(asked, depth):
    assert Question(**asked).depth == depth


def test_a_stored_item_has_no_doubts():
    Question().require_of_stored()
    for asked in (SCORE, {"probes": 3, **SCORE}):
        with pytest.raises(QuestionError, match="got a stored item"):
            Question(**asked).require_of_stored()


def test_every_field_has_a_flag():
    assert set(_FLAGS) == {*Question.__dataclass_fields__, "hybrid"}  # an order of its own
