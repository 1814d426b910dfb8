import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.corpus import decoding
from indexer.corpus.extract import html as markup
from indexer.refusals import Refused

ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(ANY_TEXT)
def test_utf_8_is_read_as_it_is_and_not_said(text):
    plain = text.removeprefix("\ufeff")
    assert decoding.decode(plain.encode()) == (plain, "utf-8")
    assert decoding.decode(plain.encode("utf-8-sig")) == (plain, "utf-8")


@given(ANY_TEXT, st.sampled_from(["utf-16", "utf-32"]))
def test_a_byte_order_mark_is_believed(text, encoding):
    assert decoding.decode(text.encode(encoding)) == (text, encoding)


@given(st.text("abcdefghij klmno\n", min_size=1), st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_utf_16_without_a_mark_is_seen_by_its_zero_bytes(text, encoding):
    assert decoding.decode(text.encode(encoding)) == (text, encoding)


@given(st.text("abc é è ñ ß Ü", min_size=4).filter(lambda text: not text.isascii()))
def test_latin_1_is_said(text):
    assert decoding.decode(text.encode("latin-1")) == (text, "latin-1")


@given(st.binary(), st.sampled_from(["", "koi8-r", "gbk", "utf-7", "zip", "\0"]))
def test_any_bytes_are_text_or_refused_as_such(data, declared):
    try:
        text, encoding = decoding.decode(data, declared)
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
    decoded, _ = decoding.decode(data, markup.declared_charset(data))
    assert decoded.endswith(text)


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
