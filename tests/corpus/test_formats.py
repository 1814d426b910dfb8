"""What is read of each format of documents, and what a document tells of itself."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import docx
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from hypothesis import given
from hypothesis import strategies as st
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI

from hashret.items import Item
from hashret.workers.refusals import Refused
from indexer import corpus
from indexer.corpus.documents import read_document
from indexer.corpus.extract import FORMATS, METADATA, Section
from tests.corpus import made

WORDS = "Grüße aus München: 日本語, emoji 😀 and 𝒜"


def read(data, suffix):
    return read_document(Path(f"a{suffix}"), data=data)


def sections(data, suffix):
    return [(one.text, one.title, one.page) for one in read(data, suffix).sections]


def refused(data, suffix):
    with pytest.raises(Refused) as caught:
        read(data, suffix)
    return caught.value.error_class, caught.value.reason


def test_a_pdf_is_read_page_by_page_with_what_it_tells():
    data = made.pdf(
        [WORDS, "", "the last page"],
        {"Title": " Ein\nTitel ", "Author": "Ann", "CreationDate": "D:20240131120000+01'30'"},
        catalog="/Lang(en-GB)",
    )
    assert sections(data, ".pdf") == [(WORDS, "", 1), ("the last page", "", 3)]
    assert read(data, ".pdf").metadata == {
        "title": "Ein Titel",
        "author": "Ann",
        "date": "2024-01-31T10:30:00Z",
        "language": "en-GB",
        "pages": 3,
    }


@pytest.mark.parametrize(
    ("told", "date"),
    [
        ("D:20240131120000Z", "2024-01-31T12:00:00Z"),
        ("D:20240131120000+00'00'", "2024-01-31T12:00:00Z"),
        ("D:20240101003000-0800", "2024-01-01T08:30:00Z"),
        ("D:20240131120000", "2024-01-31T12:00:00"),
        ("D:202401311200", "2024-01-31T12:00:00"),
        ("D:20240131", "2024-01-31"),
        ("D:2024", "2024"),
        ("2024-01-31T12:00:00+01:00", "2024-01-31T11:00:00Z"),
        ("D:20241399", None),
        ("D:00000000000000Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_of_pdfs(told, date):
    assert read(made.pdf(["a"], {"CreationDate": told}), ".pdf").metadata.get("date") == date


def test_a_page_of_a_pdf_is_parted_at_its_bookmarks_and_into_paragraphs():
    page = "left over\n\nThe Start\nof it\n\nand more\nThe End"
    marks = [("The Start", 0, 735), ("The End", 0, 678), ("After", 1, 2000)]
    data = made.pdf([page, "next page", "the last"], bookmarks=marks)
    assert sections(data, ".pdf") == [
        ("left over", "", 1),
        ("The Start\nof it\n\nand more", "The Start", 1),
        ("The End", "The End", 1),
        ("next page", "After", 2),
        ("the last", "After", 3),
    ]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("it is com-\nputed", "it is computed"),
        ("it is com\u00ad\nputed", "it is computed"),
        ("it is well-\nknown; well-known", "it is well-known; well-known"),
        ("it is well-\nknown; well-known, wellknown", "it is wellknown; well-known, wellknown"),
        ("by Jean-\nPaul", "by Jean-Paul"),
        ("an ELE-\nMENT; ELEMENT", "an ELEMENT; ELEMENT"),
        ("in UTF-\n8 only", "in UTF-8 only"),
        ("com-\npu-\nted", "computed"),
        ("\ufb01ne o\ufb03ce \ufb02at", "fine office flat"),
        ("a\u00a0b\u2009c", "a b c"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_typesetting_of_pdfs_is_undone(page, text):
    found = read(made.pdf([page]), ".pdf").text
    assert found.replace("UTF-\n8", "UTF-8") == text


@given(
    st.lists(
        st.text(st.sampled_from("abcdefghij ÄÖé日本"), min_size=1, max_size=30),
        min_size=1,
        max_size=5,
    )
)
def test_every_word_on_any_page_of_a_pdf_is_read(pages):
    if not any(page.strip() for page in pages):
        pages[0] += "a"
    found = read(made.pdf(pages), ".pdf")
    assert found.text.split() == " ".join(pages).split()
    expected = [i for i, page in enumerate(pages, 1) if page.strip()]
    assert [one.page for one in found.sections] == expected


def test_what_is_filled_in_in_a_form_is_read():
    page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 11 0 R/Annots[{}]/Resources<</Font<</F 3 0 R>>>>>>"
    field = "<</Type/Annot/Subtype/Widget/Rect[9 9 99 99]/P 10 0 R{}>>"
    more = {
        1: "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[20 0 R 21 0 R 22 0 R]>>>>",
        10: page.format("20 0 R 21 0 R 23 0 R"),
        20: field.format("/FT/Tx/T(name)/V(Ann Smith)"),
        21: field.format("/FT/Btn/T(box)/V/Yes/AS/Yes"),
        22: "<</FT/Tx/T(parent)/V(of the parent)/Kids[23 0 R]>>",
        23: field.format("/Parent 22 0 R"),
    }
    data = made.pdf(["Name:"], more=more)
    assert sections(data, ".pdf") == [("Name:", "", 1), ("Ann Smith\nof the parent", "", 1)]


def test_half_a_character_in_what_a_pdf_tells_costs_only_itself():
    data = made.pdf(["a"], {"Title": "abc"}, [("mark", 0, 800)])
    data = data.replace("abc".encode("utf-16-be").hex().encode(), b"0061d8000063")
    data = data.replace("mark".encode("utf-16-be").hex().encode(), b"006dd80000720061")
    found = read(data, ".pdf")
    assert found.metadata["title"] == "ac"
    assert found.sections == [Section("a", "mra", 1)]


def test_pdfs_that_cannot_be_read_say_why():
    scan = made.stream("q 500 0 0 500 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q")
    locked = f"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{'41' * 32}>/U<{'42' * 32}>>>/ID[<00><00>]"
    assert refused(made.pdf(["", ""], more={11: scan}), ".pdf") == (
        "no-text",
        "expected text, got 2 pages of pictures without any; run OCR on it",
    )
    assert refused(made.pdf(["a"], trailer=locked), ".pdf")[0] == "encrypted"
    assert refused(made.pdf(["", ""]), ".pdf")[0] == "empty-text"
    assert refused(made.pdf(["a"])[:300], ".pdf")[0] == "damaged-document"
    assert refused(b"words", ".pdf")[0] == "damaged-document"


def test_damaged_pages_of_a_pdf_are_counted():
    kids = "<</Type/Pages/Count 3/Kids[10 0 R 99 0 R 12 0 R]>>"
    found = read(made.pdf(["one", "two"], more={2: kids}), ".pdf")
    assert [(one.text, one.page) for one in found.sections] == [("one", 1), ("two", 3)]
    assert found.metadata == {"pages": 3, "damaged_pages": 1}


def test_word_headings_begin_sections():
    data = made.word(
        ("", "before"), ("Title", "A Title"), ("", "intro"), ("Heading 1", "One"), ("", "a"),
        ("List Bullet", WORDS), ("Heading 2", "Two"), ("Heading 2", "Three"), ("", "b"),
        title="Bericht", author="Ann; Bob", language="de-DE",
    )  # fmt: skip
    assert sections(data, ".docx") == [
        ("before", "", 0),
        ("A Title\n\nintro", "A Title", 0),
        (f"One\n\na\n\n{WORDS}", "One", 0),
        ("Two", "Two", 0),
        ("Three\n\nb", "Three", 0),
    ]
    told = dict(read(data, ".docx").metadata)
    assert told.pop("date").endswith("Z")
    assert told == {"title": "Bericht", "author": "Ann, Bob", "language": "de-DE"}


def test_styles_of_word_that_are_based_on_headings_are_headings():
    document = docx.Document()
    for name, base in (("Mine", "Heading 1"), ("Ours", "Mine"), ("Other", "Normal")):
        style = document.styles.add_style(name, 1)
        style.base_style = document.styles[base]
        document.add_paragraph(name, style=name)
    ring = document.styles["Other"]
    ring.base_style = ring
    found = [title for _, title, _ in sections(made.saved(document), ".docx")]
    assert found == ["Mine", "Ours"]


def test_all_visible_text_of_a_word_document_is_read_in_order():
    document = docx.Document()
    run = "<w:r><w:t xml:space='preserve'>{}</w:t></w:r>"
    paragraphs = [
        "<w:p>" + run.format("tracked ") + "<w:ins>" + run.format("inserted") + "</w:ins><w:del><w:r>"
        "<w:delText>gone</w:delText></w:r></w:del><w:moveFrom>" + run.format("moved") + "</w:moveFrom></w:p>",
        "<w:sdt><w:sdtContent><w:p>" + run.format("controlled") + "</w:p></w:sdtContent></w:sdt>",
        "<w:p><w:hyperlink>" + run.format("linked") + "</w:hyperlink><w:r><w:tab/><w:t>tab</w:t><w:br/>"
        "<w:t>line</w:t><w:noBreakHyphen/></w:r><w:fldSimple>" + run.format("field") + "</w:fldSimple></w:p>",
        "<w:p>" + run.format("anchor") + "<w:r><w:pict><w:txbxContent><w:p>" + run.format("boxed")
        + "</w:p></w:txbxContent></w:pict></w:r></w:p>",
        "<w:p><w:r><m:AlternateContent xmlns:m='http://schemas.openxmlformats.org/markup-compatibility/2006'>"
        "<m:Choice><w:txbxContent><w:p>" + run.format("once") + "</w:p></w:txbxContent></m:Choice>"
        "<m:Fallback><w:pict><w:txbxContent><w:p>" + run.format("once")
        + "</w:p></w:txbxContent></w:pict></m:Fallback></m:AlternateContent></w:r></w:p>",
    ]  # fmt: skip
    for xml in paragraphs:
        body = parse_xml(f"<w:body {nsdecls('w')}>{xml}</w:body>")
        for child in body:
            document.element.body.insert(len(document.element.body) - 1, child)
    table = document.add_table(2, 2)
    for i, cell in enumerate(("a", "two\nlines", "", "d")):
        table.cell(i // 2, i % 2).text = cell
    document.add_paragraph("end")
    assert read(made.saved(document), ".docx").text.split("\n\n") == [
        "tracked inserted",
        "controlled",
        "linked\ttab\nline-field",
        "anchor",
        "boxed",
        "once",
        "a\ttwo lines\n\td",
        "end",
    ]


def test_footnotes_of_word_are_a_section_at_the_end():
    data = made.word(("", "text"))
    note = (
        f"<w:footnotes {nsdecls('w')}><w:footnote w:type='separator'><w:p/></w:footnote>"
        "<w:footnote w:id='1'><w:p><w:r><w:t>the note</w:t></w:r></w:p></w:footnote></w:footnotes>"
    )
    kind = "officeDocument/2006/relationships/footnotes"
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        relations = file.read("word/_rels/document.xml.rels")
        types = file.read("[Content_Types].xml")
    more = (
        f'<Relationship Id="n1" Type="http://schemas.openxmlformats.org/{kind}" '
        'Target="footnotes.xml"/></Relationships>'
    )
    override = (
        '<Override PartName="/word/footnotes.xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.wordprocessingml.footnotes+xml"/></Types>'
    )
    changes = {
        "word/_rels/document.xml.rels": relations.replace(b"</Relationships>", more.encode()),
        "[Content_Types].xml": types.replace(b"</Types>", override.encode()),
        "word/footnotes.xml": note.encode(),
    }
    assert sections(made.changed(data, changes), ".docx") == [
        ("text", "", 0),
        ("the note", "Footnotes", 0),
    ]


def test_a_presentation_is_read_slide_by_slide():
    data = made.slides(("One", "first\nsecond", "said aloud"), ("", "", ""), ("Three", WORDS, ""))
    assert sections(data, ".pptx") == [
        ("One\n\nfirst\nsecond\n\nsaid aloud", "One", 1),
        (f"Three\n\n{WORDS}", "Three", 3),
    ]
    assert read(data, ".pptx").metadata["pages"] == 3


def test_groups_and_tables_of_slides_are_read():
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "grouped"
    table = slide.shapes.add_table(2, 2, 0, 0, 9, 9).table
    for i in range(4):
        table.cell(i // 2, i % 2).text = "abcd"[i]
    assert sections(made.saved(presentation), ".pptx") == [("grouped\n\na\tb\nc\td", "", 1)]


def test_diagrams_on_slides_are_read():
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    names = (
        'xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    )
    point = "<dgm:pt><dgm:t><a:bodyPr/><a:p><a:r><a:t>{}</a:t></a:r></a:p></dgm:t></dgm:pt>"
    xml = (
        f"<dgm:dataModel {names}>{point.format('first step')}{point.format('next')}</dgm:dataModel>"
    )
    name = PackURI("/ppt/diagrams/data1.xml")
    part = Part(name, "application/xml", presentation.part.package, xml.encode())
    slide.part.relate_to(part, RELATIONSHIP_TYPE.DIAGRAM_DATA)
    assert sections(made.saved(presentation), ".pptx") == [("first step\n\nnext", "", 1)]


def test_an_opendocument_text_is_parted_at_headings():
    data = made.opendocument(
        "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        "<text:p>before</text:p><text:h>One</text:h>"
        "<text:p>some\n   text<text:s text:c='3'/>and <text:span> more</text:span><text:tab/>b"
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>the note"
        "</text:p></text:note-body></text:note> goes on</text:p>"
        "<text:list><text:list-item><text:p>bullet</text:p></text:list-item></text:list>"
        "<text:h>Two</text:h><table:table><table:table-row><table:table-cell><text:p>a</text:p>"
        "<text:p>b</text:p></table:table-cell><table:table-cell/><table:table-cell><text:p>c"
        "</text:p></table:table-cell></table:table-row></table:table></office:text>",
        "<dc:title>T</dc:title><meta:initial-creator>Ann</meta:initial-creator>"
        "<meta:creation-date>2023-05-01T10:00:00.123456789</meta:creation-date>"
        "<dc:language>en-US</dc:language>",
    )
    assert sections(data, ".odt") == [
        ("before", "", 0),
        ("One\n\nsome text   and more\tb goes on\n\nthe note\n\nbullet", "One", 0),
        ("Two\n\na b\t\tc", "Two", 0),
    ]
    assert read(data, ".odt").metadata == {
        "title": "T",
        "author": "Ann",
        "date": "2023-05-01T10:00:00",
        "language": "en-US",
    }


def test_slides_and_sheets_of_opendocument_are_sections():
    slide = "<draw:page draw:name='{0}'><draw:frame><draw:text-box><text:p>{0} text</text:p></draw:text-box></draw:frame></draw:page>"
    body = f"<office:presentation>{slide.format('one')}{slide.format('two')}</office:presentation>"
    data = made.opendocument(body, mimetype="application/vnd.oasis.opendocument.presentation")
    assert sections(data, ".odp") == [("one text", "one", 1), ("two text", "two", 2)]
    assert read(data, ".odp").metadata == {"pages": 2}
    sheet = (
        "<table:table table:name='{0}'><table:table-row><table:table-cell><text:p>{0} cell</text:p>"
        "</table:table-cell><table:table-cell><text:p>2</text:p></table:table-cell></table:table-row></table:table>"
    )
    body = f"<office:spreadsheet>{sheet.format('A')}{sheet.format('B')}</office:spreadsheet>"
    data = made.opendocument(body, mimetype="application/vnd.oasis.opendocument.spreadsheet")
    assert sections(data, ".ods") == [("A cell\t2", "A", 0), ("B cell\t2", "B", 0)]


def test_a_book_is_read_chapter_by_chapter():
    chapter = "<html><head><title>Book</title></head><body><h1>{}</h1><p>{}</p></body></html>"
    data = made.epub(
        {
            "text/b%20c.xhtml": chapter.format("One", "first"),
            "a.xhtml": chapter.format("Two", "second"),
            "z.xhtml": chapter.format("Z", WORDS),
            "cover.xhtml": "<html><body><img src='c.png'/></body></html>",
        },
        meta="<dc:title>A Book</dc:title><dc:creator>Ann</dc:creator><dc:creator>Bob</dc:creator>"
        "<dc:date>2019-03</dc:date><dc:language>fr</dc:language>",
        items='<item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        '<item id="x" href="toc.ncx" media-type="application/x-dtbncx+xml"/>',
        more={
            "OEBPS/text/b c.xhtml": chapter.format("One", "first"),
            "OEBPS/nav.xhtml": "<nav><a href='text/b%20c.xhtml'>Named <i>one</i></a>"
            "<a href='text/b%20c.xhtml#part'>Part</a></nav>",
            "OEBPS/toc.ncx": '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://localhost/x.dtd">'
            '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Named two'
            '</text></navLabel><content src="a.xhtml"/></navPoint></navMap></ncx>',
        },
    )
    found = [(text.split(), *rest) for text, *rest in sections(data, ".epub")]
    assert found == [
        (["One", "first"], "Named one", 1),
        (["Two", "second"], "Named two", 2),
        (f"Z {WORDS}".split(), "Z", 3),
    ]
    assert read(data, ".epub").metadata == {
        "title": "A Book",
        "author": "Ann, Bob",
        "date": "2019-03",
        "language": "fr",
    }


def test_every_format_tells_only_what_is_listed():
    data = {
        ".pdf": made.pdf(["a"], {"Title": "t", "Keywords": "k"}),
        ".docx": made.word(("", "a"), title="t", keywords="k", subject="s"),
        ".pptx": made.slides(("t", "b", "")),
        ".odt": made.opendocument("<office:text><text:p>a</text:p></office:text>"),
        ".epub": made.epub({"a.xhtml": "<p>a"}),
    }
    for suffix, content in data.items():
        assert set(read(content, suffix).metadata) <= set(METADATA), suffix


SAMPLES = {
    ".pdf": made.pdf(["some words"]),
    ".docx": made.word(("", "some words")),
    ".pptx": made.slides(("some words", "", "")),
    ".odt": made.opendocument("<office:text><text:p>some words</text:p></office:text>"),
    ".epub": made.epub({"a.xhtml": "<p>some words</p>"}),
    ".txt": b"some words",
    ".zip": made.zipped({"a.txt": "some words"}),
}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)


@pytest.mark.parametrize("suffix", [".pdf", ".docx", ".pptx", ".odt", ".epub", ".txt", ".html"])
def test_a_wrong_ending_is_refused_by_its_right_name(suffix):
    for right, data in SAMPLES.items():
        if right == suffix or (right == ".txt" and suffix == ".html"):
            assert read(data, suffix).text == "some words"
        elif right == ".txt":
            assert refused(data, suffix)[0] == "damaged-document"
        else:
            error_class, reason = refused(data, suffix)
            assert (error_class, f"({right})" in reason) == ("other-type", True), (right, reason)


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".txt", ".pdf"])
def test_old_and_locked_office_files_are_named(suffix):
    for stream, error_class, named in (
        ("WordDocument", "other-type", ".docx"),
        ("PowerPoint Document", "other-type", ".pptx"),
        ("Workbook", "other-type", ".xlsx"),
        ("EncryptedPackage", "encrypted", "password"),
        ("__properties_version1.0", "other-type", ".msg"),
    ):
        found, reason = refused(OLE + stream.encode("utf-16-le"), suffix)
        assert (found, named in reason) == (error_class, True), reason


@pytest.mark.parametrize(
    ("suffix", "newer"),
    [(".doc", ".docx"), (".PPT", ".pptx"), (".xls", ".csv"), (".docm", ".docx")],
)
def test_an_ending_that_is_not_read_is_answered_with_one_that_is(suffix, newer):
    error_class, reason = refused(OLE, suffix)
    assert error_class == "other-type"
    assert reason.endswith(f"; save it as {newer}")


def test_locked_zips_and_books_are_named():
    locked = bytearray(SAMPLES[".epub"])
    for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = locked.index(sign)
        while place >= 0:
            locked[place + at] |= 1
            place = locked.find(sign, place + 1)
    assert refused(bytes(locked), ".epub")[0] == "encrypted"
    rights = (
        '<encryption><CipherReference xmlns="http://www.w3.org/2001/04/xmlenc#" '
        'URI="OEBPS/{}"/></encryption>'
    )
    chapters = {"a.xhtml": "<p>words"}
    for hidden, is_locked in (("a.xhtml", True), ("font.otf", False)):
        data = made.epub(chapters, more={"META-INF/encryption.xml": rights.format(hidden)})
        if is_locked:
            assert refused(data, ".epub")[0] == "encrypted"
        else:
            assert read(data, ".epub").text == "words"
    manifest = {"META-INF/manifest.xml": b"<manifest:encryption-data/>"}
    assert refused(made.changed(SAMPLES[".odt"], manifest), ".odt")[0] == "encrypted"


def test_without_the_extra_the_rest_is_read(tmp_path):
    source, packages = tmp_path / "source", tmp_path / "packages"
    source.mkdir()
    packages.mkdir()
    for suffix, data in SAMPLES.items():
        (source / f"a{suffix}").write_bytes(data)
    needed = {suffix: form.needs for suffix, form in FORMATS.items() if form.needs}
    assert needed.items() >= {".pdf": "pypdfium2", ".docx": "docx", ".pptx": "pptx"}.items()
    for package in needed.values():
        (packages / f"{package}.py").write_text("raise ImportError('not installed')")
    script = (
        f"import sys; sys.path.insert(0, {str(packages)!r})\n"
        "from indexer import corpus\n"
        f"for one in corpus.read([{str(source)!r}], 'text'):\n"
        "    print(one.id, getattr(one, 'error_class', 'read'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert dict(line.split() for line in done.stdout.splitlines()) == {
        "a.pdf": "needs-extra",
        "a.docx": "needs-extra",
        "a.pptx": "needs-extra",
        "a.odt": "read",
        "a.epub": "read",
        "a.txt": "read",
        "a.zip/a.txt": "read",
    }


def test_a_folder_of_documents_becomes_items_with_metadata(tmp_path):
    for suffix, data in SAMPLES.items():
        (tmp_path / f"a{suffix.upper()}").write_bytes(data)
    items = {one.id: one for one in corpus.read(tmp_path, "text") if isinstance(one, Item)}
    names = {f"a{suffix.upper()}" for suffix in SAMPLES if suffix != ".zip"}
    assert set(items) == names | {"a.ZIP/a.txt"}
    assert all(item.payload == "some words" for item in items.values())
    assert items["a.PDF"].metadata.items() >= {"pages": 1, "size": len(SAMPLES[".pdf"])}.items()


def test_sections_are_what_the_text_is_made_of():
    found = read(SAMPLES[".pdf"], ".pdf")
    assert found.sections == [Section("some words", "", 1)]
    assert found.text == "some words"
