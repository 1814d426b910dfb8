"""One payload or many, by a written rule."""

import array

import numpy as np
import pytest
import torch

from hashret.errors import PayloadError
from hashret.items import Item
from hashret.search.question import payloads_of

V = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "one",
    [
        *(V[0], V[0].tolist(), tuple(V[0].tolist()), list(V[0]), [0, 1, 2], iter(V[0].tolist())),
        *(array.array("f", V[0].tolist()), memoryview(V[0]), torch.tensor(V[0])),
        torch.tensor(V[0], requires_grad=True),
        Item("a", V[0]),
    ],
)
def test_one_dimension_is_one_vector(one):
    payloads, single = payloads_of(one, "vector")
    assert single
    assert [np.asarray(p, np.float32).tolist() for p in payloads] == [V[0].tolist()]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(
    "form",
    [
        *(lambda v: v, list, tuple, lambda v: v.tolist(), lambda v: iter(v.tolist()), torch.tensor),
        lambda v: [torch.tensor(row, requires_grad=True) for row in v],
        lambda v: torch.tensor(v, requires_grad=True),
        lambda v: [Item(str(i), row) for i, row in enumerate(v)],
        lambda v: (row for row in v),
    ],
)
def test_two_dimensions_are_many_also_if_it_is_one_row(form, n):
    payloads, single = payloads_of(form(V[:n]), "vector")
    assert not single
    assert [np.asarray(p, np.float32).tolist() for p in payloads] == V[:n].tolist()


def test_nothing_is_many_and_a_number_is_neither():
    assert payloads_of([], "vector") == ([], False)
    with pytest.raises(PayloadError, match="expected a vector or an iterable"):
        payloads_of(5.0, "vector")


def test_numbers_are_no_image_and_no_text():
    assert payloads_of([1, 2], "image") == ([1, 2], False)
    assert payloads_of(["a", "b"], "text") == (["a", "b"], False)


STEPS = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    "one",
    [
        *(STEPS, STEPS[:, 0], STEPS.tolist(), STEPS[:, 0].tolist(), torch.tensor(STEPS)),
        *(["a", "b"], ("a", "b"), ["a"], "a b", Item("x", ["a"]), Item("x", STEPS)),
        *([1, "a"], [[1, 2], 3]),  # no sequence, which the featurizer says
    ],
)
def test_a_list_of_steps_is_one_sequence(one):
    payloads, single = payloads_of(one, "sequence")
    assert single
    assert payloads == [one.payload] if isinstance(one, Item) else payloads[0] is one


@pytest.mark.parametrize(
    "many",
    [
        *([["a"], ["b", "c"]], [["a"]], [STEPS, STEPS[:2]], [STEPS[:, 0]], [STEPS.tolist()] * 2),
        *(
            [Item("x", "a b"), Item("y", ["c"])],
            (one for one in [["a"], "b c"]),
            np.ones((2, 3, 1)),
        ),
    ],
)
def test_several_sequences_are_an_iterable_of_such(many):
    payloads, single = payloads_of(many, "sequence")
    assert not single
    assert len(payloads) in (1, 2)
    assert payloads_of([], "sequence") == ([], False)
