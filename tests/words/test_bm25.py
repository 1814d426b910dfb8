"""The inverted index and BM25, against the formula applied text by text."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.errors import DamagedError
from hashret.words import bm25 as bm25_file
from hashret.words import postings as postings_file
from hashret.words.bm25 import Bm25, Part
from hashret.words.postings import MOST_COUNTED, Postings, counted, digest

WORDS = ["a", "b", "c++", "日本", "naïve", "\ud800"]
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=12), max_size=12)


def by_the_formula(texts, question):
    """The BM25 score of each text, None being one that does not count."""
    counting = [text for text in texts if text]
    n, mean = len(counting), sum(map(len, counting)) / max(1, len(counting))
    scores = []
    for text in texts:
        score = 0.0
        for word in question if text else ():
            df = sum(word in other for other in counting)
            tf = min(text.count(word), MOST_COUNTED)
            idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
            score += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * len(text) / mean))
        scores.append(score)
    return scores


@given(
    texts=TEXTS,
    question=st.lists(st.sampled_from([*WORDS, "nowhere"]), max_size=5),
    cuts=st.lists(st.integers(0, 12), max_size=3),
    removed=st.sets(st.integers(0, 11)),
    gap=st.integers(0, 3),
    together=st.integers(1, 9),
    at_once=st.sampled_from([0, 3, 1 << 18]),
)
def test_scores_are_those_of_the_formula_however_texts_are_parted(
    texts, question, cuts, removed, gap, together, at_once
):
    edges = sorted({0, len(texts), *(cut for cut in cuts if cut < len(texts))})
    parts, rows = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings_file, "_TOGETHER", together)
        for number, (start, stop) in enumerate(pairwise(edges)):
            gone = np.array([row - start for row in range(start, stop) if row in removed], "u4")
            first = start + gap * number
            parts.append(Part(first, Postings.of(texts[start:stop]), gone))
            rows += range(first, first + stop - start)
    bm25 = Bm25(parts)
    shown = [None if row in removed else text for row, text in enumerate(texts)]
    expected = by_the_formula([text or [] for text in shown], question)
    words = counted(question)
    counting = [row not in removed for row in range(len(texts))]
    scores = bm25.scores(words).of_rows(np.array([*rows, 99]))
    assert scores[-1] == 0.0
    scores = np.where(counting, scores[:-1], 0.0)
    np.testing.assert_allclose(scores, expected, rtol=1e-12)
    for among in (None, np.array(sorted(rows[::2]))):
        order = sorted(
            (-round(score, 9), row)
            for score, row in zip(scores.tolist(), rows, strict=True)
            if score > 0 and (among is None or row in among)
        )
        for n in (1, 3, 20):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(bm25_file, "_AT_ONCE", at_once)
                found = bm25.scores(words).best(n, among).tolist()
            assert [(-round(dict(zip(rows, scores, strict=True))[r], 9)) for r in found] == [
                score for score, _ in order[:n]
            ]
            assert n < len(order) or set(found) == {row for _, row in order}


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 30),
    asked=st.lists(st.integers(0, 39), min_size=1, max_size=8, unique=True),
    at_once=st.integers(0, 300),
)
def test_leaving_common_words_to_the_candidates_changes_no_answer(seed, n, asked, at_once):
    """Words as rare as those of a language, so that the common ones can't decide."""
    rng = np.random.default_rng(seed)
    chances = 1 / np.arange(1, 41) ** 1.5
    drawn = rng.choice(40, (150, 6), p=chances / chances.sum())
    texts = [[f"w{word}" for word in row[: rng.integers(1, 7)]] for row in drawn]
    bm25 = Bm25([Part(0, Postings.of(texts), np.empty(0, np.uint32))])
    words = counted(f"w{word}" for word in asked)
    every = np.arange(150)
    looked_up = bm25.scores(words).of_rows(every)
    added_up = bm25.scores(words)
    expected = added_up.best(n)
    np.testing.assert_array_equal(added_up.of_rows(every), looked_up)  # to the last bit
    order = np.lexsort((every, -looked_up))[:n]
    np.testing.assert_array_equal(expected, order[looked_up[order] > 0.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bm25_file, "_AT_ONCE", at_once)
        pruned = bm25.scores(words)
        np.testing.assert_array_equal(pruned.best(n), expected)
        np.testing.assert_array_equal(pruned.of_rows(every), looked_up)


def test_a_word_counts_at_most_so_often():
    often = Postings.of([["a"] * 1000, ["b"] * 3])
    assert often.counts.tolist() in ([MOST_COUNTED, 3], [3, MOST_COUNTED])
    assert often.lengths.tolist() == [1000, 3]


@given(texts=TEXTS)
def test_an_index_is_rebuilt_from_its_arrays(texts):
    made = Postings.of(texts)
    again = Postings.from_tensors(made.tensors(), len(texts))
    wanted = np.array([digest(word) for word in [*WORDS, "nowhere"]], np.uint64)
    starts, stops = made.find(wanted)
    np.testing.assert_array_equal(again.find(wanted), (starts, stops))
    for word, start, stop in zip([*WORDS, "nowhere"], starts, stops, strict=True):
        where = slice(start, stop)
        having = [row for row, text in enumerate(texts) if word in text]
        assert made.rows[where].tolist() == having
        assert made.counts[where].tolist() == [texts[row].count(word) for row in having]


DAMAGES = {
    "an array is missing": lambda t: t.pop("rows"),
    "other types": lambda t: t.update(rows=t["rows"].astype(np.uint64)),
    "fewer counts": lambda t: t.update(counts=t["counts"][1:]),
    "more texts": lambda t: t.update(lengths=np.append(t["lengths"], np.uint32(1))),
    "rows beyond": lambda t: t["rows"].__setitem__(-1, 9),
    "counts of 0": lambda t: t["counts"].__setitem__(0, 0),
    "words in no order": lambda t: t.update(words=t["words"][::-1].copy()),
    "a word twice": lambda t: t["words"].__setitem__(1, t["words"][0]),
    "starts go back": lambda t: t["starts"].__setitem__(1, t["starts"][2] + 1),
    "starts end early": lambda t: t["starts"].__setitem__(-1, 1),
    "starts begin late": lambda t: t["starts"].__setitem__(0, 1),
    "no starts": lambda t: t.update(starts=t["starts"][:0]),
    "a row twice": lambda t: t["rows"].__setitem__(slice(None), 0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_arrays_that_can_not_be_an_index_are_refused(damage):
    made = Postings.of([["a", "b"], ["a", "c", "c"], ["b", "a"]])
    tensors = {name: array.copy() for name, array in made.tensors().items()}
    wanted = np.array([digest("a")], np.uint64)
    again = Postings.from_tensors(tensors, 3)
    np.testing.assert_array_equal(again.find(wanted), made.find(wanted))
    DAMAGES[damage](tensors)
    with pytest.raises(DamagedError, match="expected an inverted index"):
        Postings.from_tensors(tensors, 3)
