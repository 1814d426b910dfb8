"""Texts in word order: the bag as it was, and behind it the words one after the other."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import specs
from hashret.features.texts.featurizer import TextFeaturizer
from hashret.models.steps import steps_of
from hashret.sparse import columns_between
from hashret.specs import TextSpec

CORPUS = ["the orbit of the ship", "a ship in the harbour", "sail the harbour ship", "orbit sail"]
PLAIN = TextFeaturizer.fit(CORPUS, TextSpec(max_share=1.0))
ORDERED = TextFeaturizer.fit(CORPUS, TextSpec(max_share=1.0, in_order=6))
TEXTS = st.text(st.sampled_from("abAB12 \n.,-/_:&@+#'()é̈ß京都ทยก🚀\u200b\u00ad"), max_size=40)
WORDS = st.lists(
    st.sampled_from(["the", "orbit", "of", "ship", "harbour", "sail", "unknown", "xyzzy"]),
    max_size=20,
)


def words_in_order(featurizer, text):
    """The words that stand in the ordered columns of a text."""
    ordering = featurizer.ordering
    numbers = steps_of(featurizer.transform([text]), ordering).values
    return [featurizer.vocabulary[number - 1] for number in numbers]


@given(WORDS)
def test_words_are_in_their_order_up_to_the_limit(words):
    known = [word for word in words if word in PLAIN.vocabulary]
    assert words_in_order(ORDERED, " ".join(words)) == known[:6]


@pytest.mark.parametrize("spec", [TextSpec(), TextSpec(rule=1, fold_accents=False)])
@given(text=TEXTS)
def test_no_word_is_lost_and_none_is_read_twice(spec, text):
    """In order are the words that are counted, whatever signs and scripts there are."""
    spec = TextSpec(rule=spec.rule, fold_accents=spec.fold_accents, in_order=200, max_share=1.0)
    words = sorted({*TextFeaturizer(spec, [], np.empty(0)).all_words(text), "orbit"})
    featurizer = TextFeaturizer(spec, words, np.ones(len(words)))
    assert Counter(words_in_order(featurizer, text)) == Counter(featurizer.all_words(text))


@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=5))
def test_the_bag_is_that_of_texts_without_order(texts):
    both, bags = ORDERED.transform(texts), PLAIN.transform(texts)
    n_words = len(PLAIN.vocabulary)
    assert both.n_features == ORDERED.n_features == n_words + 6
    for found in (ORDERED.bag(both), columns_between(both, 0, n_words)):
        np.testing.assert_array_equal(found.to_dense(), bags.to_dense())
    one = both.rows(0, 1)
    np.testing.assert_array_equal(
        ORDERED.similarities(one, both), PLAIN.similarities(bags.rows(0, 1), bags)
    )
    # as where the one side is stored, of which only bags are kept
    np.testing.assert_array_equal(
        ORDERED.similarities(one, ORDERED.bag(both)), PLAIN.similarities(bags.rows(0, 1), bags)
    )
    alone = [ORDERED.transform([text]).to_dense()[0] for text in texts]
    np.testing.assert_array_equal(both.to_dense(), alone)


@given(WORDS)
def test_to_leave_a_word_out_is_to_take_it_out_of_the_text(words):
    """Also of the order, where what comes after it moves up."""
    text = " ".join(words)
    left = ORDERED.left_out(text, ORDERED.transform([text]), 100)
    assert {str(part) for part in left.parts} == set(words) & set(PLAIN.vocabulary)
    for i, part in enumerate(left.parts):
        without = ORDERED.transform([" ".join(word for word in words if word != str(part))])
        np.testing.assert_array_equal(left.features.to_dense()[i], without.to_dense()[0])


def test_a_word_with_its_parts_is_left_out_of_the_order_as_a_whole():
    texts = ["part AB-1/2 of ab", "ab of part", "1 of part", "AB-1/2"]
    featurizer = TextFeaturizer.fit(texts, TextSpec(max_share=1.0, in_order=50))
    text = "of AB-1/2, ab (AB-1/2) part"
    left = featurizer.left_out(text, featurizer.transform([text]), 100)
    by_word = {str(part): i for i, part in enumerate(left.parts)}
    for word, without in {
        "AB-1/2": "of ab part",
        "ab": "of AB-1/2, (AB-1/2) part",
        "part": "of AB-1/2, ab (AB-1/2)",
    }.items():
        np.testing.assert_array_equal(
            left.features.to_dense()[by_word[word]], featurizer.transform([without]).to_dense()[0]
        )


def test_a_long_text_is_read_until_there_are_enough_words():
    text = "orbit " * 200_000
    assert words_in_order(ORDERED, text) == ["orbit"] * 6
    left = ORDERED.left_out(text + "sail", ORDERED.transform([text + "sail"]), 100)
    assert [str(part) for part in left.parts] == ["orbit", "sail"]
    n_words = len(ORDERED.vocabulary)
    order = columns_between(left.features, n_words, n_words + 6)
    assert order.nnz_per_row.tolist() == [1, 6]


def test_state_survives_and_older_models_have_bags():
    spec = specs.from_json(specs.to_json(ORDERED.spec))
    again = TextFeaturizer.from_tensors(spec, ORDERED.tensors())
    np.testing.assert_array_equal(
        again.transform(CORPUS).to_dense(), ORDERED.transform(CORPUS).to_dense()
    )
    former = specs.to_json(PLAIN.spec)
    del former["in_order"]
    assert specs.from_json(former) == PLAIN.spec
    assert PLAIN.ordering is None


@pytest.mark.parametrize("in_order", [-1, 4097, 1.5])
def test_no_such_number_of_words(in_order):
    with pytest.raises(ValueError, match="in_order: expected"):
        TextSpec(in_order=in_order)
