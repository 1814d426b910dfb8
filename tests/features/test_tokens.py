"""Text to words in any script."""

import random
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashret.features.texts import folding
from hashret.features.texts.tokens import is_term, words

FLAG = "\U0001f3f4\U000e0067\U000e0062\U000e007f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The quick-brown FOX, 42 times!", "the quick brown fox 42 times"),
        ("don't ‘quote’ rock’n’roll", "dont quote rocknroll"),
        # single letters, long numbers
        ("R and 7 123456789 I/O", "r and 7 123456789 i o"),
        # words that signs join, beside their parts
        ("AB-1234/5, and/or", "ab-1234/5 ab 1234 5 and or"),
        ("Python 3.11.7.", "python 3.11.7 3 11 7"),
        ("<ann.lee+x@example.org>", "ann.lee+x@example.org ann lee x example org"),
        ("12:30 1939–1945 v2.0", "12:30 12 30 1939-1945 1939 1945 v2.0 v2 0"),
        ("well-known foo_bar www.example.org", "well known foo bar www example org"),
        ("C++, C# (F#) C C/C++", "c++ c# f# c c c++"),
        ("Notepad++ 1.2 C++11 issue#12", "notepad++ notepad 1.2 1 2 c++ 11 issue 12"),
        (".NET x.net ...and etc.", ".net net x net and etc"),
        # the same where some of it is not ASCII
        ("é C++ .NET ab-12 é", "e c++ .net net ab-12 ab 12 e"),
        ("हिं-12", "हिं-12 हिं 12"),
        ("ａｂ－１２", "ab-12 ab 12"),
        # what nobody sees
        (
            "donau\u00addampf zero\u200bwidth a\ufeffb می\u200cخواهم",
            "donaudampf zerowidth ab ميخواهم",
        ),
        # accents, vowels, points, Turkish
        (
            "café cafe\u0301 Zoë Łódź smørrebrød Straße Œuvre",
            "cafe cafe zoe lodz smorrebrod strasse oeuvre",
        ),
        ("İstanbul ISTANBUL ıstanbul", "istanbul istanbul istanbul"),
        ("مُحَمَّد مـحمد أحمد ٢٠٢٠ یک", "محمد محمد احمد 2020 يك"),
        ("שָׁלוֹם צה״ל", "שלום צהל"),
        ("Ёлка ёлка ΆΛΦΑ", "елка елка αλφα"),
        ("हिन्दी में", "हिन्दी में"),
        # scripts without spaces
        ("一二三四 学", "一二 二三 三四 学"),
        ("ｶﾞｷﾞ か\u3099く", "ガギ がく"),
        ("안녕하세요", "안녕 녕하 하세 세요"),
        ("ที่นี่ ABC ๑๒", "ที่นี่ abc 12"),
        ("สวัสดี", "สวั วัส สดี"),
        ("ພາສາ", "ພາ າສ ສາ"),
        ("မြန်မာ", "မြန် န်မ မာ"),
        ("ꦗꦮꦶ", "ꦗꦮꦶ"),
        ("ខ្មែ\u200bរ", "ខ្មែរ"),
        ("བོད་སྐད", "བོད སྐད"),
        # emoji
        ("❤️ ❤ 👍🏽 👍", "❤ ❤ 👍 👍"),
        ("👩\u200d💻 1️⃣🇩🇪🇫🇷" + FLAG, "👩\u200d💻 1⃣ 🇩🇪 🇫🇷 " + FLAG),
        ("Windows™ good☃day", "™ windows ☃ good day"),
        ("!!! ... — \ufe0f \u200d", ""),
    ],
)
def test_known_texts(text, expected):
    assert sorted(words(text)) == sorted(expected.split())


def test_accents_can_be_told_apart():
    assert words("café Łódź \u00adİ", fold_accents=False) == ["café", "łódź", "i̇"]
    assert words("مُحَمَّد", fold_accents=False) == ["مُحَمَّد"]


letters = st.sampled_from(
    [*"aZb09'_-./+#@:& \n\x1f\0", *"éı’ｶﾞ一学안٣न्\u0301\u0e35ก👍🏽\u200d\ufe0f\ud800"]
)
texts = st.text(letters | st.characters(), max_size=60)


@given(texts)
def test_any_text_has_words_without_an_error(text):
    assert all(word and not set(word) & set(" \n\t'\u00ad\u200b\ufe0f") for word in words(text))


@given(st.text(letters.filter(str.isascii), max_size=60))
@example(".a b.c# d++e f#1 2-3 @x y@z")
def test_ascii_is_no_special_case(text):
    # most of it outside ASCII sends the same text through the Unicode path
    beside = "ß" * (len(text) + 2)
    assert sorted(words(f"{text}\u00ad {beside}")) == sorted([*words(text), "ss" * len(beside)])


@given(texts, texts)
def test_what_stands_apart_is_counted_apart(one, other):
    assert sorted(words(f"{one} {other}")) == sorted(words(one) + words(other))


@given(texts)
def test_composed_or_not_and_in_any_case_a_text_has_the_same_words(text):
    # a letter that composes may be no letter of ASCII, a sign none of joining
    if not set(text) & set("ıİ\u0345"):
        assert sorted(words(unicodedata.normalize("NFD", text))) == sorted(words(text))


def test_every_invisible_character_parts_nothing():
    shown = [
        code
        for code in [0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x2060, 0x2070)]
        if words(f"zero{chr(code)}width") != ["zerowidth"]
    ]
    assert shown == []


def test_every_digit_is_one_of_ascii():
    others = [c for c in map(chr, range(0x110000)) if c.isdecimal()]
    assert [c for c in others if words(f"a{c}")[0] != f"a{unicodedata.decimal(c)}"] == []
    assert ord(others[-1]) == folding._LAST_DIGIT


@pytest.mark.parametrize("script", ["กขคงจ", "ກຂຄງຈ", "កខគឃង", "ကခဂဃင", "ꦏꦒꦔꦕꦗ"])
def test_a_text_without_spaces_is_no_single_word(script):
    text = "".join(random.Random(1).choices(script, k=500))
    found = words(text)
    assert len(found) == 499
    assert all(map(is_term, found))


def test_encoded_data_is_no_term():
    assert is_term("a" * 64)
    assert not is_term("a" * 65)
