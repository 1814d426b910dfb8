"""Long texts become passages: slices that end where a reader would stop."""

from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import Item
from hashret.features.texts.tokens import word_starts, words
from indexer.corpus import Skipped
from indexer.corpus.documents import outline_of
from indexer.corpus.extract import Document, Section
from indexer.corpus.passages import Outlined, SectionStart, passages_of, split
from indexer.corpus.sentences import sentence_starts

PIECES = st.sampled_from(
    [
        "word",
        "Another",
        "it's",
        "3.11",
        "e.g.",
        "Dr.",
        "字",
        "日本語です。",
        "ไทย",
        "é",
        "😀",
        "# Title\n",
        "Title\n=====\n",
        "```\n",
        "- one\n",
        "| a | b |\n",
        "....",
        "!?",
        '."',
        "(",
        ")",
        " ",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        "\u2028",
        "\t",
        "\x0c",
        ". ",
        "! ",
        "? ",
        "。",
        "\x00",
    ]
)
TEXTS = st.lists(PIECES, max_size=120).map("".join)


def n_words(text):
    return len(word_starts(text))


def texts_of(text, size, outline=()):
    return [text[one.start : one.end] for one in split(text, size, outline)]


@given(TEXTS, st.integers(1, 30), st.data())
def test_every_character_but_white_space_is_in_exactly_one_passage(text, size, data):
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=4).map(sorted))
    found = split(text, size, [SectionStart(at, "word", i) for i, at in enumerate(places)])
    ends = [0, *(place for one in found for place in (one.start, one.end)), len(text)]
    assert ends == sorted(ends)
    between = [text[begin:end] for begin, end in pairwise(ends)]
    assert all(not gap or gap.isspace() for gap in between[::2])
    assert all(part and part == part.strip() for part in between[1::2])


@given(TEXTS, st.integers(1, 30))
def test_passages_have_between_half_and_one_and_a_half_times_the_words(text, size):
    sizes = list(map(n_words, texts_of(text, size)))
    assert sum(sizes) == n_words(text)
    if len(sizes) > 1:
        assert all((size + 1) // 2 <= one <= size + size // 2 for one in sizes)
    else:
        assert sum(sizes) <= size + size // 2


@given(
    st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=6), min_size=1, max_size=20),
    st.integers(13, 60),
)
def test_no_sentence_is_cut_that_need_not_be(paragraphs, size):
    said = [[" ".join(["Word"] + ["word"] * (n - 1)) + "." for n in one] for one in paragraphs]
    text = "\n\n".join(" ".join(sentences) for sentences in said)
    every = [sentence for sentences in said for sentence in sentences]
    found = [part.replace("\n\n", " ") for part in texts_of(text, size)]
    fewest = (size + 1) // 2 if len(found) > 1 else 0
    assert all(fewest <= n_words(part) <= size + size // 2 for part in found)
    taken = 0
    for part in found:
        count = part.count(".")
        assert part == " ".join(every[taken : taken + count])
        taken += count
    assert taken == len(every)


def test_the_strongest_boundary_is_taken():
    sentence = "One two three four five six seven eight nine ten."
    text = f"{sentence} {sentence} {sentence}\n\n{sentence} {sentence}\n\n# Head\n\n{sentence}"
    text += f" {sentence} {sentence}"
    found = split(text, 60)
    assert [one.section for one in found] == ["", "Head"]
    assert text[found[1].start :].startswith("# Head")
    found = texts_of(text, 40)
    assert [n_words(one) for one in found] == [30, 20, 31]
    assert found[0].endswith("ten.")
    assert found[2].startswith("# Head")


def test_a_heading_belongs_to_what_follows():
    body = " ".join(["Some words are here."] * 5)
    for head in ("# Title", "## Title ##", "Title\n-----", "=====\nTitle\n====="):
        text = f"{body}\n\n{head}\n\n{body}\n\n# Other\n\n### Below it\n\n{body}"
        found = split(text, 24)
        assert [one.section for one in found] == ["", "Title", "Other"]
        assert text[found[1].start :].startswith(head)
        assert text[found[2].start : found[2].end].startswith("# Other\n\n### Below it\n\nSome")


def test_code_and_rules_are_no_headings():
    body = " ".join(["Some words are here."] * 5)
    for other in ("```\n\n# a comment\n\n```", "#hashtag", "a line\nbelow it\n---", "---\n\n***"):
        assert {one.section for one in split(f"{body}\n\n{other}\n\n{body}", 20)} == {""}


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Who met J. P. Smith at 3.30 p.m. today. It rained.", 2),
        ('"Really?" he asked. "Yes!" She left... Then no. 5 came, etc. and so on.', 4),
        ("Am 3. Oktober kam er, z.B. heute. Es regnete.", 2),
        ("Qui est-ce ? C'est lui. ¿Quién es? ¡Él! «Oui.» Non.", 6),
        ("日本語です。これは「何？」と言った。第二文！終わり", 4),
        ("这是３．１４。那是别的！", 2),
        ("यह है। वह है।", 2),
        ("ما هذا؟ هذا كتاب. نعم.", 3),
        ("በዓል። ሌላ።", 2),
        ("Visit example.org or see file.txt now. Done.", 2),
    ],
)
def test_where_sentences_end_in_any_script(text, sentences):
    assert 1 + len(list(sentence_starts(text))) == sentences


def test_an_overlong_sentence_is_cut_between_lines_or_words():
    text = " ".join(["word"] * 100)
    assert [n_words(one) for one in texts_of(text, 20)] == [20] * 5
    lines = "\n".join(["one two three four five six seven"] * 20)
    assert all(one.startswith("one") and one.endswith("seven") for one in texts_of(lines, 20))
    assert [len(one) for one in texts_of("字" * 100, 20)] == [20] * 5
    commas = texts_of("一二三四五六七，" * 20, 20)
    assert all(one.endswith("，") for one in commas)
    assert all(one.endswith(",") for one in texts_of("a,b,c," * 50, 20)[:-1])


def test_a_page_that_ends_within_a_sentence_does_not_end_a_passage():
    first = "It begins here. " * 5 + "This sentence goes"
    second = "on to the next page. " + "It ends here. " * 5
    document = Document([Section(first, page=4), Section(second.strip(), "", 5)])
    outline = outline_of(document)
    parts = split(document.text, 15, outline)
    assert any("goes\n\non" in document.text[one.start : one.end] for one in parts)
    assert [one.page for one in parts] == [4, 4, 5]


@pytest.mark.parametrize("text", ["He said don't.", "naïve café’s", "AB 12"])
def test_words_are_counted_as_features_have_them(text):
    assert n_words(text) == len(words(text))


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "a ",
        "a,",
        "a\n\n",
        "# a\n",
        "\n",
        "! ",
        "===\n",
        "a\n===\n",
        "字",
        "```\n",
        "A. ",
        ". (",
        "。」",
        "- a\n",
        " ",
        "(",
        ".",
        "'",
        "a'",
        "é'",
        "́",
        "- ",
    ],
)
def test_the_time_is_linear_in_the_length(part):
    def seconds(n):
        text = part * (n // len(part))
        began = process_time()  # not that of the clock: the machine may stall
        split(text, 50)
        return process_time() - began

    seconds(1_000)
    few, many = min(seconds(8_000) for _ in range(3)), min(seconds(64_000) for _ in range(2))
    assert many < 8 * 3 * few + 0.01  # eight times the text; the square would be 64 times


def test_passages_are_items_that_know_their_document():
    outline = [SectionStart(0, "Intro", 1), SectionStart(60, page=2)]
    text = "Intro\n\n" + "Some words are here. " * 10
    item = Outlined("a/b.pdf", text, {"title": "T"}, outline)
    found = list(passages_of(item, 12))
    assert [one.id for one in found] == [f"a/b.pdf#{number}" for number in (1, 2, 3, 4)]
    for number, one in enumerate(found, start=1):
        assert one.payload == text[one.metadata["start"] : one.metadata["end"]]
        told = {"title": "T", "document": "a/b.pdf", "passage": number, "section": "Intro"}
        assert told.items() <= one.metadata.items()
    assert [one.metadata["page"] for one in found] == [1, 1, 2, 2]
    assert "page" not in next(passages_of(Item("b", "few words"), 100)).metadata


def test_a_short_text_is_its_first_passage_and_what_is_no_text_stays():
    (only,) = passages_of(Item("b", " few words "), 100)
    assert (only.id, only.payload) == ("b#1", "few words")
    for payload in ("", " \n", 7, b"bytes"):
        item = Item("b", payload)
        assert list(passages_of(item, 100)) == [item]


def test_metadata_are_never_overwritten():
    for key in ("document", "passage", "start", "end"):
        (skipped,) = passages_of(Item("b", "few words", {key: "mine"}), 100)
        assert isinstance(skipped, Skipped)
        assert skipped.error_class == "bad-metadata"
        assert repr(key) in skipped.reason
    late = "Some words are here. " * 5 + "\n\n# Head\n\n" + "Some words are here. " * 5
    (skipped,) = passages_of(Item("b", late, {"section": "mine"}), 24)
    assert "'section'" in skipped.reason
    (kept,) = passages_of(Item("b", "few words", {"page": 3, "section": "mine"}), 100)
    assert (kept.metadata["page"], kept.metadata["section"]) == (3, "mine")
