"""Which words a text has as they are written, and that each can be taken out without changing the rest."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.features.texts.featurizer import TextFeaturizer
from hashret.features.texts.written import written
from hashret.specs import TextSpec


def rule(text, spec=TextSpec()):  # noqa: B008
    return TextFeaturizer(spec, [], np.empty(0)).all_words(text)


def spelled(text):
    return [one.shown for one in written([text], rule)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The orbit, the ORBIT; an (orbit).", ["The", "orbit", "an"]),
        ("a ship,harbour and/or sail", ["a", "ship", "harbour", "and", "or", "sail"]),
        ("part AB-1234/5, and 5", ["part", "AB-1234/5", "and", "5"]),
        ("write to <ann@example.org>!", ["write", "to", "ann@example.org"]),
        ("don't, 'quoted' words", ["don't", "quoted", "words"]),
        ("(C++) and Notepad++, .NET).", ["C++", "and", "Notepad++", ".NET"]),
        ("Café ŁÓDŹ чай", ["Café", "ŁÓDŹ", "чай"]),
        ("rocket🚀 👩‍💻", ["rocket", "🚀", "👩‍💻"]),
        ("東京都。都", ["東京", "京都", "都"]),
        ("so\u00adft zero\u200bwidth", ["so\u00adft", "zero\u200bwidth"]),
        ("<script>alert(1)</script>", ["script", "alert", "1"]),
        ("... !? --", []),
        ("", []),
    ],
)
def test_words_as_they_are_written(text, words):
    assert spelled(text) == words


def test_the_most_frequent_spelling_is_shown_and_all_are_counted():
    (one,) = written(["Orbit orbit,", " ORBIT orbit"], rule)
    assert (one.shown, one.count, one.words) == ("orbit", 4, ("orbit",))


def test_only_words_that_are_known():
    found = written(["東京都に行く, AB-99/1 and orbit"], rule, {"京都", "ab", "orbit"}.__contains__)
    assert [one.shown for one in found] == ["京都", "AB-99/1", "orbit"]


TEXTS = st.text(st.sampled_from("abAB12 \n.,-/_:&@+#'()é̈ß京都ทยก🚀\u200b\u00ad"), max_size=40)


@pytest.mark.parametrize(
    "spec", [TextSpec(), TextSpec(fold_accents=False), TextSpec(rule=1, fold_accents=False)]
)
@given(text=TEXTS)
def test_the_words_as_written_are_all_words_of_the_text(spec, text):
    """Nothing is lost, nothing counted twice: so what is left without one is what others count."""
    found = Counter()
    for one in written([text], lambda part: rule(part, spec)):
        assert one.count > 0
        assert one.shown
        for word in one.words:
            found[word] += one.count
    assert found == Counter(rule(text, spec))
