"""Formats that are text: HTML's sections, Markdown, notebooks, RTF, subtitles, mail, mailboxes."""

import json
import time
import tracemalloc
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashret.items import Item
from hashret.workers.refusals import ERROR_CLASSES, Refused
from indexer import corpus
from indexer.corpus import Skipped, documents, files, mailboxes
from indexer.corpus.extract import FORMATS, METADATA
from tests.corpus import ole


def read(name, data):
    data = data.encode() if isinstance(data, str) else data
    return documents.read_document(Path(name), data=data)


def read_or_refused(name, data):
    try:
        return read(name, data)
    except Refused as refused:
        return refused


def sections(name, data):
    return [(one.title, one.text) for one in read(name, data).sections]


MAIL = """\
From: =?utf-8?q?=C3=84nne?= <anne@example.org>
To: Bob <bob@example.org>, cy@example.org
Cc: dee@example.org
Subject: =?iso-8859-1?Q?Gr=F6=DFe?= and
 width
Date: Tue, 01 Oct 2024 10:30:00 +0200
"""
TOLD = {
    "from": "Änne <anne@example.org>",
    "to": "Bob <bob@example.org>, cy@example.org",
    "cc": "dee@example.org",
    "subject": "Größe and width",
    "date": "2024-10-01T08:30:00Z",
}
BOTH = """\
Content-Type: multipart/alternative; boundary="="

--=
Content-Type: text/plain; charset=koi8-r
Content-Transfer-Encoding: base64

{}
--=
Content-Type: text/html

<p>HTML
--=--
"""


def mail(rest):
    return (MAIL + rest).encode()


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.eml", mail("\nbody\n"), "Größe and width\n\nbody"),
        ("a.eml", b"From x Tue Oct  1 2024\n" + mail("\nbody"), "Größe and width\n\nbody"),
        ("a.eml", mail("Content-Type: text/html\n\n<p>o<b>n</b>e<p>two"), "Größe and width\n\none\n\ntwo"),
        ("a.eml", mail(BOTH.format(b64encode("мир".encode("koi8-r")).decode())), "Größe and width\n\nмир"),
        ("a.eml", mail(BOTH.format("")), "Größe and width\n\nHTML"),
        ("a.eml", mail("Content-Type: multipart/mixed; boundary=none\n\nbody"), "Größe and width\n\nbody"),
        ("a.html", "<div>a<p>b</p>c<ul><li>d</ul>e</div>f<i>g</i><br>h", "a\n\nb\n\nc\n\nd\n\ne\n\nfg\nh"),
        ("a.html", "<pre>  a\n    b</pre><table><tr><td>c<td>d<tr><td>e</table>", "a\n    b\n\nc d\ne"),
        ("a.eml", b"Subject: a\r\n\r\nb\r\nc", "a\n\nb\r\nc"),
        ("a.eml", b"Subject: caf\xe9\n\ncaf\xe9", "café\n\ncafé"),
        ("a.eml", b"Content-Transfer-Encoding: quoted-printable\n\na=20=C3=A4=\nb", "a äb"),
        ("a.mhtml", (b"Content-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html; "
         b"charset=windows-1251\n\n<title>T</title>\xec\xe8\xf0\n--x--"), "T\n\nмир"),
        ("a.ipynb", json.dumps({"cells": [{"cell_type": "code", "source": ["a = 1\n", "# b"],
         "outputs": [{"text": "no"}]}]}), "a = 1\n# b"),
        ("a.rtf", rb"{\rtf1\ansi{\fonttbl\f0 Arial;}{\*\generator x;}\b caf\'e9\b0  one\par two\u8364?}",
         "café one\n\ntwo€"),
        ("a.srt", ("1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>\n{\\an8}there\n\n2\n00:00:02,500 -->"
         " 00:00:03,000\nfriend.\n\n3\n00:00:09,000 --> 00:00:10,000\n1984\n"), "Hello there friend.\n\n1984"),
        ("a.srt", "1\n0:01,0 --> 0:02,0\na\n2\n0:02,0 --> 0:03,0\nb\n", "a b"),
        ("a.vtt", ("WEBVTT\n\nNOTE no\n\nSTYLE\n::cue {}\n\nintro\n00:01.000 --> 00:02.000 align:start\n"
         "<v Ann>Rock &amp; roll\n\n00:02.000 --> 00:03.000\nRock & roll\nmore"), "Rock & roll more"),
    ],
)  # fmt: skip
def test_what_each_format_says(name, data, text):
    assert read(name, data).text == text


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.html", "<title>T</title>x<h1>One¶</h1><p>a<h2>T<b>w</b>o</h2>b",
         [("", "T\n\nx"), ("One", "One¶\n\na"), ("Two", "Two\n\nb")]),
        ("a.md", "a\n\n# One #\nb\n```\n# no\n```\nTwo\n---\nc\n\nThree\n===\n",
         [("", "a"), ("One", "# One #\nb\n```\n# no\n```\nTwo\n---\nc"), ("Three", "Three\n===")]),
        ("a.md", "no heading\r\n", [("", "no heading\r\n")]),
        ("a.rst", "One\n===\na\n\nTwo\n~~~\n| b\n", [("One", "One\n===\na"), ("Two", "Two\n~~~\n| b")]),
        ("a.org", "* One\na\n** Two\n", [("One", "* One\na"), ("Two", "** Two")]),
        ("a.tex", "\\section{One}\na\n\\subsection*{Two}\nb",
         [("One", "\\section{One}\na"), ("Two", "\\subsection*{Two}\nb")]),
        ("a.py", "# no heading\n", [("", "# no heading\n")]),
        ("a.ipynb", json.dumps({"cells": [{"cell_type": "markdown", "source": "# One\na"},
         {"cell_type": "code", "source": "# b"}, {"cell_type": "markdown", "source": ["## Two"]}]}),
         [("One", "# One\na\n\n# b"), ("Two", "## Two")]),
        ("a.srt", "0:01,0 --> 0:02,0\na\n\n05:01,0 --> 05:02,0\nb", [("", "a"), ("", "b")]),
        ("a.eml", (b"Subject: a\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nb\n--x\nContent-Type:"
         b" message/rfc822\n\nSubject: c\n\nd\n--x--"), [("a", "a\n\nb"), ("c", "c\n\nd")]),
    ],
)  # fmt: skip
def test_sections_begin_at_headings(name, data, expected):
    assert sections(name, data) == expected


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.html", ('<html lang="de-AT"><title> A \n B </title><meta name=Author content="Ann &amp; Bo">'
         "<meta property=article:published_time content=2024-03-01T23:30:00-02:00><meta name=date "
         "content=2001>"), {"title": "A B", "author": "Ann & Bo", "language": "de-AT",
                           "date": "2024-03-02T01:30:00Z"}),
        ("a.html", "<svg><title>no</title></svg><meta name=date content=soon>x", {"title": "no"}),
        ("a.md", "---\ntitle: 'A: B'\ndate: 2024-03-01\nlang: en\nx: y\n---\na",
         {"title": "A: B", "date": "2024-03-01", "language": "en"}),
        ("a.md", "---\ntitle: no end\n", {}),
        ("a.ipynb", json.dumps({"cells": [{"cell_type": "markdown", "source": "# One"}],
                                "metadata": {"authors": [{"name": "Ann"}, {"name": "Bo"}]}}),
         {"title": "One", "author": "Ann, Bo"}),
        ("a.rtf", rb"{\rtf1{\info{\title caf\'e9}{\author Ann}{\creatim\yr2024\mo3\dy1\hr5\min6}}a}",
         {"title": "café", "author": "Ann", "date": "2024-03-01T05:06:00"}),
        ("a.eml", mail("\nbody"), TOLD),
        ("a.eml", mail("Content-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x\nContent-Type: "
         "image/png; name=\"p.png\"\n\n--x\nContent-Disposition: attachment; filename*=utf-8''%C3%A4.txt"
         "\n\nno\n--x--"), TOLD | {"attachments": "p.png, ä.txt"}),
        ("a.eml", b"Subject: a\nDate: whenever\n\nb", {"subject": "a"}),
    ],
)  # fmt: skip
def test_what_a_document_tells_of_itself(name, data, told):
    found = read(name, data).metadata
    assert found == told
    assert found.keys() <= METADATA.keys()


def test_outlook_messages():
    sent = 133_722_450_000_000_000  # 100 ns since 1601
    said = {"t0037_001F": "Größe", "t0C1A_001F": "Ann", "t5D01_001F": "ann@example.org",
            "t0E04_001F": "Bo", "t0039_0040": sent}  # fmt: skip
    told = {"from": "Ann <ann@example.org>", "to": "Bo", "subject": "Größe", "attachments": "a.pdf",
            "date": "2024-10-01T08:30:00Z"}  # fmt: skip
    for body in (
        {"t1000_001F": "мир"},
        {"t1000_001E": "мир".encode("cp1251"), "t3FFD_0003": 1251},
        {"t1013_0102": b"<meta charset=windows-1251><p>" + "мир".encode("cp1251")},
    ):
        found = read("a.msg", ole.message(**said, **body))
        assert found.text == "Größe\n\nмир"
        assert found.metadata == told
    for data, reason in (
        (b"words", "expected an Outlook message"),
        (ole.ole_file({"x": b"x"}), "expected an Outlook message"),
        (ole.ole_file({"WordDocument": b"x"}), "got an old Word document"),
        (ole.message(**said)[:700], "expected an Outlook message"),
    ):
        with pytest.raises(Refused, match=reason):
            read("a.msg", data)


BAD = {
    "a.eml": b"no mail at all",
    "b.eml": b"",
    "c.ipynb": b'{"cells": 3}',
    "d.ipynb": b"[" * 100_000,
    "e.rtf": b"no RTF",
    "f.rtf": rb"{\rtf1 \u-99999999999999999999?}",
    "g.mht": b"Subject: x\nContent-Type: image/png\n\nx",
    "h.msg": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "i.mbox": b"words that are no mailbox",
}
EMPTY = {
    "a.srt": b"1\n\nno times",
    "b.vtt": b"WEBVTT\n",
    "c.mbox": b"",
    "d.ipynb": b'{"cells": []}',
}


def test_what_is_damaged_is_refused_and_its_neighbours_are_read(tmp_path):
    for n, (name, data) in enumerate((BAD | {"x" + k: v for k, v in EMPTY.items()}).items()):
        (tmp_path / name).write_bytes(data)
        (tmp_path / f"{name}.{n}").write_text("a good neighbour")
    found = list(corpus.read([tmp_path], "text"))
    skipped = {one.id: one.error_class for one in found if isinstance(one, Skipped)}
    items = [one for one in found if isinstance(one, Item)]
    expected = dict.fromkeys(BAD, "damaged-document") | {"x" + name: "empty-text" for name in EMPTY}
    assert skipped == expected
    assert len(items) == len(expected)


SUFFIXES = [
    ".html",
    ".md",
    ".rst",
    ".tex",
    ".eml",
    ".mht",
    ".ipynb",
    ".rtf",
    ".srt",
    ".msg",
    ".xyz",
]
PIECES = st.sampled_from([
    b"From: a\n", b"Subject: =?utf-8?b?x?=\n", b"\n", b"\r\n", b"\r", b"--b", b"--b--", b"=", b"<p>",
    b"Content-Type: multipart/mixed; boundary=b\n", b"Content-Type: message/rfc822\n", b"# a\n",
    b"Content-Type: text/html; charset=x\0\n", b"Content-Transfer-Encoding: base64\n", b"\xff\xfe",
    b"{\\rtf1 ", b"\\u-1?", b"\\'e", b"}", b"{", b'{"cells":[', b'{"source":["a"]}', b"]}", b"\xe9",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"00:00:01,000 --> 99:99:99,999\n", b"---\n", b"title: a\n",
    b"<title>", b"<script>", b"<!--", b"&#1;", b"\0", b"filename*=utf-8''%C3", b"Date: 99999\n",
])  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from(SUFFIXES), st.lists(PIECES, max_size=12).map(b"".join) | st.binary())
@example(".rtf", b"{\\rtf1 \\u55357?}")
@example(".eml", b'Content-Type: text/plain; charset="\xff\0"\n\nx')
@example(".html", b"&#2;&#3;x")
def test_any_bytes_are_a_document_or_refused(suffix, data):
    document = read_or_refused(f"a{suffix}", data)
    if isinstance(document, Refused):
        assert document.error_class in ERROR_CLASSES
        return
    assert document.text.strip()
    document.text.encode()
    assert "\0" not in document.text
    json.dumps(document.metadata).encode()
    assert all(type(value) is str and value for value in document.metadata.values())


HARMFUL = {
    "mails nested 1,000 deep": ("a.eml", b"Content-Type: message/rfc822\nSubject: a\n\n" * 1000 + b"\nb"),
    "parts nested": ("a.eml", b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i)
                                       for i in range(20_000)) + b"\nb"),
    "parts": ("a.eml", b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\na\n" * 100_000),
    "headers": ("a.eml", b"From: a\n" * 250_000 + b"\nb"),
    "a long header": ("a.eml", b"From: " + b"((" * 1_000_000 + b"\n\nb"),
    "encoded words": ("a.eml", b"Subject: " + b"=?utf-8?q?a?= " * 150_000 + b"\n\nb"),
    "parameters": ("a.eml", b"Subject: a\nContent-Type: text/plain; " + b'a*0="x";' * 250_000 + b"\n\nb"),
    "a folded header": ("a.eml", b"Subject:" + b"\n " * 1_000_000 + b"a\n\nb"),
    "dashes": ("a.eml", b"Subject: a\nContent-Type: multipart/mixed; boundary=-\n\n" + b"-" * 2_000_000),
    "groups": ("a.rtf", b"{\\rtf1 " + b"{\\b " * 500_000),
    "times": ("a.srt", b"0:" * 1_000_000),
    "tags": ("a.vtt", b"0:01.0 --> 0:02.0\n" + b"<" * 2_000_000),
    "brackets": ("a.ipynb", b'{"cells":' + b"[" * 2_000_000),
    "headings": ("a.md", b"a\n=\n" * 500_000),
    "stars": ("a.org", b"*" * 2_000_000),
    "deep HTML": ("a.html", b"<div>" * 200_000 + b"b"),
    "deep lists": ("a.html", b"<ul><li>" * 100_000 + b"b"),
    "open and wrongly closed": ("a.html", b"<b></div>" * 200_000 + b"b"),
    "tables that keep their div open": ("a.html", b"<div><table></div></table>" * 40_000 + b"b"),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_the_time_for_what_is_made_to_harm_is_bounded(name):
    start = time.process_time()
    found = read_or_refused(*HARMFUL[name])
    if isinstance(found, Refused):
        assert found.error_class in ("too-large", "damaged-document", "empty-text")
    assert time.process_time() - start < 10


def test_nesting_ends_at_a_depth_and_no_text_is_lost():
    deep = (
        b"<div>" * 60_000
        + b"<h2>Here</h2><p>o<b>n</b>e</p><script>no</script>"
        + b"</div>" * 60_000
    )
    assert read("a.html", deep + b"end").text.split() == ["Here", "one", "end"]


def mailbox(*mails):
    return b"".join(b"From x Tue Oct  1 2024\n" + one + b"\n\n" for one in mails)


def test_a_mailbox_is_an_item_for_each_mail(tmp_path):
    mails = [b"Subject: a\n\n>From here\nFrom there", b"no mail", b"Subject: c\n\n\nc"]
    (tmp_path / "m.mbox").write_bytes(mailbox(*mails))
    (tmp_path / "a.txt").write_text("words")
    alone = list(corpus.read([tmp_path / "m.mbox"], "text"))
    assert [one.id for one in alone] == ["m.mbox#1", "m.mbox#2", "m.mbox#3"]
    assert alone[0].payload == "a\n\nFrom here\nFrom there"
    assert alone[0].metadata == {"subject": "a", "folder": ""}
    assert alone[1].error_class == "damaged-document"
    assert corpus.infer_kind([tmp_path / "m.mbox"]) == "text"
    first, *rest = corpus.read([tmp_path], "text")
    assert (first.id, first.payload, rest) == ("a.txt", "words", alone)


def test_a_mail_over_the_limit_costs_no_other(tmp_path):
    limit = FORMATS[".eml"].max_bytes
    with (tmp_path / "m.mbox").open("wb") as stream:
        stream.write(mailbox(b"Subject: a\n\na") + b"From x\n")
        stream.seek(limit + 100, 1)  # a hole
        stream.write(b"\n\n" + mailbox(b"Subject: c\n\nc"))
    found = list(corpus.read([tmp_path / "m.mbox"], "text"))
    assert [getattr(one, "error_class", "item") for one in found] == ["item", "too-large", "item"]


@pytest.mark.parametrize("line", [b"x" * 1000 + b"\n", b"x" * (8 << 20)], ids=["lines", "one line"])
def test_a_mail_over_the_limit_is_not_held(tmp_path, monkeypatch, line):
    limit, size = 1 << 18, 8 << 20
    monkeypatch.setattr(mailboxes, "_CHUNK", 1 << 16)
    path = tmp_path / "m.mbox"
    path.write_bytes(b"From a\n\n" + line * (size // len(line)) + b"\n\nFrom b\n\nwords\n")
    entry = files.Entry(path, "m.mbox", path.stat().st_size)
    tracemalloc.start()
    try:
        found = list(mailboxes._mails(entry, limit, follow=False))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == [None, b"From b\n\nwords\n"]
    assert peak < 4 * limit < size // 4


def test_a_mail_is_what_its_suffix_says_and_posts_are_plain_text():
    post = mail("\nbody\n")
    assert read("a.eml", post).metadata == TOLD
    for name in ("51121", "a.txt", "a.xyz"):
        assert read(name, post).text == post.decode()


def test_a_report_is_not_written_where_it_would_be_read(tmp_path):
    source = corpus.Source(tmp_path, "text")
    for name, is_read in [("r.json", False), ("r.xyz", True), ("r.mbox", True), ("r.jsonl", False),
                          ("r.png", False), (".r.json", False)]:  # fmt: skip
        assert source.would_read(tmp_path / name) == is_read
    assert not corpus.Source(tmp_path, "image").would_read(tmp_path / "r.json")
