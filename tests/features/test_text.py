"""Terms to weights: counting, scikit-learn, and independence of batches."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from hashret.errors import EmptyCorpusError, PayloadError
from hashret.features.texts import tokens, tokens_former
from hashret.features.texts.featurizer import MAX_BYTES, TextFeaturizer
from hashret.specs import TextSpec

letters = st.sampled_from(
    [*"aZb09'_-.+#@ \n\x1f\0", *"éßİı’ʼ＇ｶﾞ一二の学안ーÅﬁ²٣न्\u0301\ud800𝔸ก\u0e35👍\u200d"]
)
scripts = st.text(letters | st.characters(), max_size=60)


@pytest.mark.parametrize("rule", [tokens, tokens_former])
@given(st.lists(scripts, max_size=8), st.lists(scripts, max_size=4), st.sets(scripts))
def test_counts_are_those_of_counting_one_by_one(rule, texts, learned, odd):
    """Also by a vocabulary with entries that no text has as terms, which a stranger may give."""

    def terms_of(text):
        return filter(rule.is_term, rule.words(text))

    spec = TextSpec(rule=1 if rule is tokens_former else 2)
    terms = sorted({term for text in learned + texts[:1] for term in terms_of(text)} | odd)
    featurizer = TextFeaturizer(spec, terms, np.ones(len(terms)))
    expected = [
        (row, terms.index(term), count)
        for row, text in enumerate(texts)
        for term, count in sorted(Counter(terms_of(text)).items())
        if term in terms
    ]
    assert list(zip(*(part.tolist() for part in featurizer.counts(texts)), strict=True)) == expected


def test_counts_are_those_of_scikit_learn_by_the_former_rule():
    rng = np.random.default_rng(0)
    letters = np.array(list("abcAB019' .-_"))
    corpus = ["".join(rng.choice(letters, 200)) for _ in range(50)]
    featurizer = TextFeaturizer.fit(corpus, TextSpec(rule=1))
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


def test_the_vocabulary_does_not_shrink_as_the_corpus_grows():
    rng = np.random.default_rng(0)
    common = [f"common{i}" for i in range(20)]  # each in most texts
    texts = [
        " ".join([*rng.choice(common, 16), *(f"rare{n}" for n in rng.zipf(1.4, 20))])
        for _ in range(260)
    ]
    sizes = [TextFeaturizer.fit(texts[:n], TextSpec()).n_features for n in range(20, 260, 4)]
    lost = np.minimum(np.diff(sizes), 0)
    assert lost.sum() >= -len(common)  # no word but those that come to be in over half of the texts
    assert sizes[-1] > 2 * sizes[len(sizes) // 4]


def test_a_word_that_nearly_all_of_few_texts_have_is_kept():
    corpus = [f"cat {'dog' if i else 'bird'} word{i}" for i in range(40)]
    assert {"cat", "dog"} < set(TextFeaturizer.fit(corpus, TextSpec()).vocabulary)


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


@pytest.mark.parametrize(
    ("texts", "asked", "found"),
    [
        # a sentence of Thai is no word too long, and its words are found in it
        (
            ["แม่ทำแกงเขียวหวานไก่ใส่มะเขือและใบโหระพา" * 2, "สถานีรถไฟกำลังซ่อมชานชาลาที่สาม" * 3],
            "รถไฟ",
            [1],
        ),
        # an emoji finds itself, however it is shown, and no other
        (["at sea \u2708\ufe0f", "at home \u260e\ufe0f"], "\u2708", [0]),
        (["at sea \u2708\ufe0f", "at home \u260e\ufe0f"], "\u2603\ufe0f", []),
        (["donau\u00addampf\u200bschiff", "schiff"], "donaudampfschiff", [0]),
        (["donau\u00addampf\u200bschiff", "schiff"], "schiff", [1]),
        (["in C++ today", "in C# today", "in C today"], "c++", [0]),
        (["in C++ today", "in C# today", "in R today"], "C#", [1]),
        (["part AB-1234/5", "part CD-9876/1"], "ab-1234/5", [0]),
        (["call 030 1234567", "call 030 7654321"], "1234567", [0]),
    ],
)
def test_what_users_look_for_finds_its_text_and_no_other(texts, asked, found):
    featurizer = TextFeaturizer.fit(texts, TextSpec())
    rows = featurizer.transform(texts)
    assert (rows.nnz_per_row > 0).all()
    likeness = featurizer.similarities(featurizer.transform([asked]), rows)
    assert np.flatnonzero(likeness > 0).tolist() == found


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
        "from hashret.features.texts.featurizer import TextFeaturizer\n"
        "from hashret.specs import TextSpec\n"
        "TextFeaturizer.fit(['naïve cat'], TextSpec()).transform(['cat'])\n"
        "print({'scipy', 'torch', 'sklearn', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
