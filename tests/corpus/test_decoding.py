import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.errors import InputError
from hashret.workers.refusals import Refused
from indexer.corpus import decoding
from indexer.corpus.extract import html as markup


def decoded(data, declared="", encoding=None):
    found = decoding.decode(data, declared, encoding)
    return found.text, found.encoding


ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(ANY_TEXT)
def test_utf_8_is_read_as_it_is_and_not_said(text):
    plain = text.removeprefix("\ufeff")
    assert decoded(plain.encode()) == (plain, "utf-8")
    assert decoded(plain.encode("utf-8-sig")) == (plain, "utf-8")


@given(ANY_TEXT, st.sampled_from(["utf-16", "utf-32"]))
def test_a_byte_order_mark_is_believed(text, encoding):
    assert decoded(text.encode(encoding)) == (text, encoding)


@given(st.text("abcdefghij klmno\n", min_size=1), st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_utf_16_without_a_mark_is_seen_by_its_zero_bytes(text, encoding):
    assert decoded(text.encode(encoding)) == (text, encoding)


@pytest.mark.parametrize(
    "text", ["naïve", "Größe, façade, naïve, el niño", "Le café est très cher"]
)
def test_latin_1_is_said(text):
    assert decoded(text.encode("latin-1")) == (text, "latin-1")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text",
    ["人人生而自由，在尊严和权利上一律平等。", "Все люди рождаются свободными.", "すべての人間は", "مساء الخير",
     "모든 인간은", "Καλημέρα", "a plain text", "一"],
)  # fmt: skip
def test_utf_16_and_32_without_a_mark_in_any_script(encoding, text):
    text = f"{text}\n{text}\n"
    assert decoded(text.encode(encoding)) == (text, encoding)


@pytest.mark.parametrize("encoding", ["iso2022_jp", "iso2022_kr"])
def test_iso_2022_is_no_ascii(encoding):
    text = {"iso2022_jp": "日本語の文書 and words", "iso2022_kr": "모든 인간은 and words"}[encoding]
    assert decoded(text.encode(encoding))[0] == text
    assert decoded(b"a \x1b$ sign that opens nothing")[1] == "utf-8"


def test_what_the_user_says_comes_before_a_guess_and_a_declaration():
    russian = "Все люди рождаются свободными"
    assert decoded(russian.encode("koi8-r"), encoding="koi8-r") == (russian, "koi8-r")
    assert decoded(russian.encode("koi8-r"), "windows-1251", "koi8-r") == (russian, "koi8-r")
    assert decoded(russian.encode(), encoding="koi8-r") == (russian, "utf-8")
    assert decoded(russian.encode("utf-16"), encoding="koi8-r") == (russian, "utf-16")
    with pytest.raises(Refused, match="expected euc_jp, the encoding given"):
        decoded(russian.encode("cp1251"), encoding="euc_jp")


def test_only_the_names_of_text_encodings_can_be_said():
    assert decoding.known("CP1251") == decoding.known("windows-1251") == "cp1251"
    for name in ("klingon", "base64", "zip", ""):
        with pytest.raises(InputError, match="expected the name of an encoding"):
            decoding.known(name)


@pytest.mark.parametrize(
    "head",
    [
        '<?xml version="1.0" encoding="{}"?><html>',
        "<html><head><style>" + "p {{}}\n" * 3000 + '</style><meta charset="{}">',
        "<meta http-equiv=Content-Type content='text/html; charset={}'>",
    ],
)
def test_a_declaration_is_found_where_pages_have_it(head):
    # a text that could as well be in another encoding
    data = head.format("iso-8859-5").encode() + "<p>мир".encode("iso-8859-5")
    assert decoding.decode(data, markup.declared_charset(data)).text.endswith("мир")


@given(st.binary(), st.sampled_from(["", "koi8-r", "gbk", "utf-7", "zip", "\0"]))
def test_any_bytes_are_text_or_refused_as_such(data, declared):
    try:
        text, encoding = decoded(data, declared)
    except Refused as refused:
        text, encoding = "", refused.error_class
    assert "\0" not in text
    assert text.encode("utf-8") or not data or encoding in {"not-text", "utf-8", "utf-16", "utf-32"}
    assert encoding


@pytest.mark.parametrize("encoding", ["windows-1251", "koi8-r", "iso-8859-7", "shift_jis", "gbk"])
def test_html_is_read_in_the_encoding_that_it_declares(encoding):
    words = {"shift_jis": "日本語の文書", "gbk": "中文文本", "iso-8859-7": "ελληνικά"}
    text = words.get(encoding, "русский текст")
    html = f'<html><head><META http-equiv=x content="text/html; charset={encoding}">'
    data = html.encode() + text.encode(encoding)
    text_, _ = decoded(data, markup.declared_charset(data))
    assert text_.endswith(text)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one<p>two", "one two"),
        ("<td>one</td><td>two</td>", "one two"),
        ("o<b>n</b>e<br>two", "one two"),
        ("<title>A &amp; B</title><body>c", "A & B c"),
        ("<script>if (a < b) { '</p>' }</script>text", "text"),
        ("<SCRIPT >x</Script\n>text", "text"),
        ("<style>p > a {}</style>text", "text"),
        ("<!-- <p>no</p> -->text", "text"),
        ("<!doctype html><?php echo ?>text", "text"),
        ('<a title="a > b" href=x>text</a>', "text"),
        ("<p don't>text", "text"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("a<", "a<"),
        ("&lt;b&gt; &eacute;&#233;&#xe9;", "<b> ééé"),
        ("&#xD800;&#0;", "\ufffd\ufffd"),
        ("<textarea><b>text</textarea>", "<b>text"),
        ("<script src=x/>text", "text"),
        ("<title/>text", "text"),
        ("</>text</ p>", "text"),
    ],
)
def test_html_to_text(html, text):
    assert " ".join(markup.text_of(html).split()) == text


@given(st.text(st.sampled_from("<>/!-'\"= ab&;#9?"), max_size=60) | ANY_TEXT)
def test_any_html_has_some_text(html):
    assert isinstance(markup.text_of(html), str)


@pytest.mark.parametrize(
    "part",
    [
        *("<a ", "<a>", '<a href="', '<a b="<a c=">', "<!", "<!--", "<!-->", "</", "<script>"),
        '<a b=">" ',
        *("<?", "<title>", "&#", "<a b=c ", "='", "<a b='\">", "</script", "<script/>", "-->"),
    ],
)
@pytest.mark.parametrize("end", ["", ">", ' b=">"'])
def test_the_time_for_html_is_linear(part, end):
    # 2 MB; html.parser of CPython 3.11 takes 35 s for 60 kB of the first
    start = time.process_time()
    markup.text_of(part * (2_000_000 // len(part)) + end)
    assert time.process_time() - start < 10
