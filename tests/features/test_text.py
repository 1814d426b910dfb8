"""Text to terms and terms to weights: known examples, scikit-learn, and independence of batches."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from hashret.errors import EmptyCorpusError, PayloadError
from hashret.features.text import MAX_BYTES, TextFeaturizer
from hashret.features.tokens import tokens
from hashret.specs import TextSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The quick-brown FOX, 42 times!", ["the", "quick", "brown", "fox", "42", "times"]),
        ("don't 'quote' a b 7 123456", ["dont", "quote"]),
        ("don’t naïve café", ["dont", "naïve", "café"]),
        ("cafe\u0301", ["café"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        # Lucene's CJKAnalyzer: bigrams inside a run, a lone character by itself
        ("一二三四", ["一二", "二三", "三四"]),
        (
            "多くの学生が試験に落ちた",
            [
                "多く",
                "くの",
                "の学",
                "学生",
                "生が",
                "が試",
                "試験",
                "験に",
                "に落",
                "落ち",
                "ちた",
            ],
        ),
        ("学 test 学生", ["学", "test", "学生"]),
        ("안녕하세요", ["안녕", "녕하", "하세", "세요"]),
        ("ｶﾞｷﾞ ＡＢＣ", ["ガギ", "abc"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("สวัสดี", ["สวัสดี"]),
        ("مُحَمَّد", ["مُحَمَّد"]),
        ("İstanbul", ["i̇stanbul"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("", []),
        ("!!! ... —", []),
    ],
)
def test_known_texts(text, expected):
    assert tokens(text) == expected


@given(st.text())
def test_any_text_has_terms_without_an_error(text):
    assert all(term and not term.isspace() for term in tokens(text))


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_is_no_special_case(text):
    # one letter outside ASCII sends the same text through the Unicode path
    assert tokens(text) == tokens(text + " ß")[:-1] if tokens("ß") else True
    assert tokens(text + " ßß")[:-1] == tokens(text)


# of every kind of character that the two paths tell apart: ASCII, marks, digits, CJK, apostrophes
letters = st.sampled_from([*"aZb09'_- \n\x1f\0", *"éßİı’ʼ＇ｶﾞ一二の学안ーÅﬁ²٣न्\u0301\ud800𝔸"])
scripts = st.text(letters | st.characters(), max_size=60)


def spelled_out(text):
    """The terms of ASCII text by the rule itself, a character at a time."""
    lowered = "".join(c for c in text.lower() if c != "'")
    words = "".join(c if c.isalnum() else " " for c in lowered).split(" ")
    return [w for w in words if 2 <= len(w) <= 64 and not (w.isdigit() and len(w) > 4)]


@given(st.text(st.characters(max_codepoint=127) | letters.filter(str.isascii)))
@example("a" * 64 + " " + "b" * 65 + " 1234 12345 12a45")
def test_terms_of_ascii_text_are_those_of_the_rule(text):
    assert tokens(text) == spelled_out(text)


@given(st.lists(scripts, max_size=8), st.lists(scripts, max_size=4), st.sets(scripts))
def test_counts_are_those_of_counting_one_by_one(texts, learned, odd):
    """Also by a vocabulary with entries that no text has as terms, which a stranger may give."""
    terms = sorted({term for text in learned + texts[:1] for term in tokens(text)} | odd)
    featurizer = TextFeaturizer(TextSpec(), terms, np.ones(len(terms)))
    expected = [
        (row, terms.index(term), count)
        for row, text in enumerate(texts)
        for term, count in sorted(Counter(tokens(text)).items())
        if term in terms
    ]
    assert list(zip(*(part.tolist() for part in featurizer.counts(texts)), strict=True)) == expected


def test_counts_are_those_of_scikit_learn_by_the_same_rules():
    rng = np.random.default_rng(0)
    letters = np.array(list("abcAB019' .-_"))
    corpus = ["".join(rng.choice(letters, 200)) for _ in range(50)]
    featurizer = TextFeaturizer.fit(corpus, TextSpec())
    # a run of letters and digits, not of digits alone where there are more than four
    run = r"(?<![a-z0-9])(?!\d{5,}(?![a-z0-9]))[a-z0-9]{2,64}(?![a-z0-9])"
    reference = CountVectorizer(
        vocabulary=featurizer.vocabulary,
        preprocessor=lambda text: text.lower().replace("'", ""),
        token_pattern=run,
    ).transform(corpus)
    rows, columns, counts = featurizer.counts(corpus)
    ours = np.zeros(reference.shape, np.int64)
    ours[rows, columns] = counts
    np.testing.assert_array_equal(ours, reference.toarray())
    assert len(rows) == reference.nnz > 1000


words = st.lists(
    st.sampled_from(["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"]),
    min_size=1,
    max_size=12,
)
corpora = st.lists(words.map(" ".join), min_size=1, max_size=12)


@given(corpora)
def test_weights_are_those_of_scikit_learn(corpus):
    featurizer = TextFeaturizer.fit(corpus, TextSpec())
    reference = TfidfVectorizer(sublinear_tf=True).fit(corpus)
    assert list(featurizer.vocabulary) == sorted(reference.vocabulary_)
    np.testing.assert_allclose(
        featurizer.transform(corpus).to_dense(), reference.transform(corpus).toarray(), atol=2e-5
    )


@given(corpora)
def test_a_row_does_not_depend_on_its_batch(corpus):
    featurizer = TextFeaturizer.fit(corpus, TextSpec())
    together = featurizer.transform(corpus)
    assert together.values.dtype == np.float32
    for i, text in enumerate(corpus):
        alone, row = featurizer.transform([text]), together.rows(i, i + 1)
        np.testing.assert_array_equal(alone.indices, row.indices)
        np.testing.assert_array_equal(alone.values, row.values)
        assert (np.diff(row.indices) > 0).all()
        assert np.linalg.norm(row.values) == pytest.approx(1, abs=1e-6)


@given(corpora)
def test_the_vocabulary_does_not_depend_on_the_order(corpus):
    one = TextFeaturizer.fit(corpus, TextSpec(vocabulary_size=4))
    two = TextFeaturizer.fit(corpus[::-1], TextSpec(vocabulary_size=4))
    assert list(one.vocabulary) == list(two.vocabulary)
    assert one.n_features <= 4


def test_limits_on_document_frequency():
    corpus = [f"common rare{i:03} {'pair' if i < 2 else 'other'}" for i in range(200)]
    featurizer = TextFeaturizer.fit(corpus, TextSpec(min_documents=2, max_share=0.5))
    assert list(featurizer.vocabulary) == ["pair"]
    alike = TextFeaturizer.fit(["same words"] * 200, TextSpec())
    assert list(alike.vocabulary) == ["same", "words"]


def test_state_survives_as_arrays():
    corpus = ["naïve 学生 cat", "cat dog"]
    fitted = TextFeaturizer.fit(corpus, TextSpec())
    again = TextFeaturizer.from_tensors(TextSpec(), fitted.tensors())
    np.testing.assert_array_equal(
        again.transform(corpus).to_dense(), fitted.transform(corpus).to_dense()
    )


def test_what_is_no_text():
    for payload in ("", "  \n", 3, None, b"bytes"):
        with pytest.raises(PayloadError):
            TextFeaturizer.prepare(payload, TextSpec())
    with pytest.raises(EmptyCorpusError):
        TextFeaturizer.fit(["!!!", "..."], TextSpec())
    empty = TextFeaturizer.fit(["cat"], TextSpec()).transform(["unknown", "cat"])
    assert empty.nnz_per_row.tolist() == [0, 1]


@pytest.mark.parametrize("letter", ["a", "é", "一"])
def test_the_longest_text_is_as_long_in_every_script(letter):
    longest = letter * (MAX_BYTES // len(letter.encode()))
    assert TextFeaturizer.prepare(longest, TextSpec()) is longest
    with pytest.raises(PayloadError, match="at most 16,777,216 bytes") as raised:
        TextFeaturizer.prepare(longest + letter, TextSpec())
    assert raised.value.error_class == "too-large"


def test_a_preview_can_be_stored():
    preview = TextFeaturizer.preview("a \ud800 b\0c\n\n" + "x" * 1000)
    assert preview.encode()
    assert "\0" not in preview
    assert len(preview) == 200


def test_applying_needs_neither_scipy_nor_torch_nor_sklearn():
    script = (
        "import sys\n"
        "from hashret.features.text import TextFeaturizer\n"
        "from hashret.specs import TextSpec\n"
        "TextFeaturizer.fit(['naïve cat'], TextSpec()).transform(['cat'])\n"
        "print({'scipy', 'torch', 'sklearn', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
