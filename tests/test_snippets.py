"""Snippets: a part of a text, the question's words in it, in any script; and spelling."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashret import Collection, Item
from hashret.features.texts import tokens
from hashret.search.snippets import _columns, snippet
from hashret.search.spelling import spelling
from indexer import Indexer
from indexer.training.options import TrainingOptions
from tests.corpora import topic_items


def words(text):
    return [*tokens.words(text), *tokens.ideographs(text)]


def marked(text, question, width=160):
    """The snippet with its marks in brackets."""
    found = snippet(text, dict.fromkeys(tokens.words(question), 1.0), words, width)
    shown, end = "", 0
    for start, stop in found.marks:
        shown += f"{found.text[end:start]}[{found.text[start:stop]}]"
        end = stop
    return shown + found.text[end:]


@pytest.mark.parametrize(
    ("text", "question", "shown"),
    [
        ("A ship in a STORM.", "storm ship", "A [ship] in a [STORM]."),
        ("Shipping is no ship's business", "ship", "Shipping is no ship's business"),
        ("two\n\n  lines\tof ship", "SHIP", "two lines of [ship]"),
        ("Café in der Straße", "CAFE strasse", "[Café] in der [Straße]"),
        ("I don't use C or C#, but C++ and .NET", "c++ .net dont", "I [don't] use C or C#, but [C++] and [.NET]"),
        ("mail ann@example.org about AB-1234/5!", "ann@example.org AB-1234/5", "mail [ann@example.org] about [AB-1234/5]!"),
        ("co\u00adoperate", "cooperate", "[co\u00adoperate]"),
        ("a 👩‍💻 and a 👩", "👩‍💻", "a [👩‍💻] and a 👩"),
        ("我们用汉明距离搜索。", "汉明距离", "我们用[汉明距离]搜索。"),
        ("これはテキストの検索です", "検索", "これはテキストの[検索]です"),
        ("การค้นหาข้อความ", "ค้นหา", "การ[ค้นหา]ข้อความ"),
        ("abc汉明 abc", "汉明", "abc[汉明] abc"),
        ("abc汉明 abc", "abc", "[abc]汉明 [abc]"),
        ("Привет, МИР", "мир", "Привет, [МИР]"),
        ("nothing here", "ship", "nothing here"),
        ("", "ship", ""),
        (" \n ", "ship", ""),
    ],
)  # fmt: skip
def test_the_words_of_a_question_are_marked_as_a_search_finds_them(text, question, shown):
    assert marked(text, question) == shown


@pytest.mark.parametrize("before", ["From: a@b.example\n" * 60, "語" * 3000, "", "x" * 5000 + " "])
def test_the_part_with_most_words_is_shown_wherever_it_stands(before):
    text = f"{before}a ship. Then a storm took the ship to the harbour." + " wave" * 900
    shown = marked(text, "ship storm harbour", 60)
    assert "[storm] took the [ship] to the [harbour]." in shown
    assert shown.startswith("…") == bool(before)
    assert shown.endswith("…")


PARTS = st.sampled_from(
    ["ship ", "Ship", " storm", "ａｂ", "\n", "  ", "汉明", "距离", "ค้น", "e\u0301", "👩‍💻", "👍🏽", "\u00ad", "C++", "AB-1", ". ", "x" * 70, "\0", "'", "deck "]
)  # fmt: skip


@given(
    st.lists(PARTS, max_size=80).map("".join),
    st.lists(PARTS, max_size=4).map("".join),
    st.integers(20, 90),
)
@example("x" * 70 + "ship" + "x" * 200, "x" * 70, 20)
def test_a_snippet_is_a_part_of_the_text_and_its_marks_are_words_of_the_question(text, question, width):  # fmt: skip
    wanted = set(tokens.words(question))
    found = snippet(text, dict.fromkeys(wanted, 1.0), words, width)
    whole = " ".join(text.split())
    part = found.text.removeprefix("…").removesuffix("…")
    assert part in whole
    assert _columns(part) <= width
    assert (part == whole) == (found.text == whole)
    ends = [0, *(place for mark in found.marks for place in mark), len(found.text)]
    assert ends == sorted(ends)
    is_cut = found.text != whole
    for start, stop in found.marks:
        assert set(words(found.text[start:stop])) & wanted or (is_cut and stop - start >= 20)
    if not wanted & set(words(whole)):
        assert not found.marks
        assert whole.startswith(part)
    elif not is_cut:
        assert found.marks


def test_no_letter_is_parted_from_its_signs():
    for width in range(20, 40):
        for letter in ("e\u0301", "ก้", "👍🏽", "👩‍💻"):
            part = snippet(letter * 100 + "ship", {"ship": 1.0}, words, width).text
            assert re.fullmatch(f"…?(?:{letter})*(?:ship)?…?", part), part


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    items = [Item(one.id, f"{one.payload} of a") for one in topic_items(60)]
    items += [
        Item(f"header-{i}", f"From: {'x ' * 200} the part AB-{i} of a ship") for i in range(2)
    ]
    to = tmp_path_factory.mktemp("snippets") / "c"
    with Indexer(to, kind="text") as indexer:
        indexer.fit(items, TrainingOptions(n_bits=16))
        indexer.add(items)
        indexer.commit()
    with Collection.open(to) as collection:
        yield collection


def test_a_collection_marks_the_words_that_tell_and_not_those_that_all_texts_have(collection):
    question = "the part AB-1 of a"
    hits = collection.query(question, k=3, hybrid=True)
    first = collection.snippets(hits, question, width=80)[0]
    assert {first.text[start:stop] for start, stop in first.marks} >= {"AB-1"}
    assert not {"of", "a"} & {first.text[start:stop] for start, stop in first.marks}
    assert first.text.startswith("…")
    # of a stored item, and of what is no text, it is the beginning
    assert collection.snippets(hits, width=80)[0].text.startswith("From: ")
    assert collection.snippets(hits[:1], Item("q", question)) == collection.snippets(
        hits[:1], question
    )


def split(text):
    return list(tokens.words(text))


@pytest.mark.parametrize(
    ("question", "instead"),
    [
        ("shuttel lanch", "shuttle launch"),
        ("Lanch a rokcet!", "launch a rocket!"),
        ("ship", ""),
        ("xyzzy", ""),
        ("lch", ""),
        ("9999 launchpad", ""),
        ("", ""),
    ],
)
def test_known_words_that_are_spelt_like_unknown_ones(question, instead):
    vocabulary = dict.fromkeys(
        ["shuttle", "shutter", "launch", "lunch", "rocket", "ship", "a"], 2.0
    )
    vocabulary["shuttle"] = 1.0  # more common than what is as much like it
    unknown = set(tokens.words(question)) - vocabulary.keys()
    found = spelling(question, unknown, vocabulary, split)
    assert found.instead == instead
    assert set(found.unknown) == unknown


def test_a_collection_knows_which_words_no_text_has(collection):
    asked = "harbor and anchr in a storm"
    collection.query(asked, hybrid=True)  # reads the words
    found = collection.spelling(asked)
    assert found.unknown == ("harbor", "anchr")
    assert found.instead == "harbour and anchor in a storm"
    assert collection.spelling("AB-1 ship").unknown == ()
