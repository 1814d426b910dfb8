"""Documents made for tests: PDFs by hand, zips of XML by zipfile, Office documents by their libraries."""

import io
import zipfile
from collections.abc import Mapping, Sequence

import docx
import pptx

ODT = "application/vnd.oasis.opendocument.text"


def pdf(
    pages: Sequence[str],
    info: Mapping[str, str] = {},
    bookmarks: Sequence[tuple[str, int, int]] = (),
    trailer: str = "",
    catalog: str = "",
    more: Mapping[int, str] = {},
) -> bytes:
    """A PDF with one font in which every character of Unicode has a code.

    Lines are 14 points apart, the first at 750; an empty line leaves such a space. A bookmark is
    (title, page from 0, height). `more` replaces objects by number: 1 the catalog, 2 the pages,
    3 and 4 the font, 5 its descendant, 6 the bookmarks; then come two objects for each page.
    """
    letters = sorted(set("".join(pages)) - {"\n"})
    codes = {letter: i + 1 for i, letter in enumerate(letters)}
    objects = {
        1: f"<</Type/Catalog/Pages 2 0 R/Outlines 6 0 R{catalog}>>",
        3: "<</Type/Font/Subtype/Type0/BaseFont/Any/Encoding/Identity-H"
        "/DescendantFonts[5 0 R]/ToUnicode 4 0 R>>",
        4: stream(_unicode_map(codes)),
        5: "<</Type/Font/Subtype/CIDFontType2/BaseFont/Any/DW 500"
        "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>",
    }
    numbers = []
    for i, text in enumerate(pages):
        number = 10 + 2 * i
        numbers.append(number)
        objects[number] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {number + 1} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>"
        )
        objects[number + 1] = stream(_drawn(text, codes))
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects[2] = f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>"
    first = max(objects) + 1
    marks = range(first, first + len(bookmarks))
    ends = f"/First {marks[0]} 0 R/Last {marks[-1]} 0 R" if bookmarks else ""
    objects[6] = f"<</Type/Outlines/Count {len(bookmarks)}{ends}>>"
    for mark, (title, page, height) in zip(marks, bookmarks, strict=True):
        after = f"/Next {mark + 1} 0 R" if mark + 1 in marks else ""
        objects[mark] = (
            f"<</Title {_string(title)}/Parent 6 0 R{after}"
            f"/Dest[{numbers[page]} 0 R/XYZ 0 {height} 0]>>"
        )
    entries = "".join(f"/{name} {_string(value)}" for name, value in info.items())
    objects[7] = f"<<{entries}>>"
    return written(objects | more, f"/Info 7 0 R{trailer}")


def stream(content: str) -> str:
    return f"<</Length {len(content.encode())}>>stream\n{content}\nendstream"


def written(objects: Mapping[int, str], trailer: str = "") -> bytes:
    """The file of numbered objects, with a table of where they stand."""
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, body in sorted(objects.items()):
        places[number] = len(out)
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    start, size = len(out), max(objects) + 1
    out += f"xref\n0 {size}\n".encode()
    for number in range(size):
        used = number in places
        entry = f"{places.get(number, 0):010d} {0 if used else 65535:05d} {'n' if used else 'f'} \n"
        out += entry.encode()
    out += f"trailer<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{start}\n%%EOF".encode()
    return bytes(out)


def _string(text: str) -> str:
    return "<FEFF" + text.encode("utf-16-be").hex() + ">"


def _unicode_map(codes: Mapping[str, int]) -> str:
    lines = [f"<{code:04x}> <{letter.encode('utf-16-be').hex()}>" for letter, code in codes.items()]
    parts = [lines[i : i + 100] for i in range(0, len(lines), 100)]
    maps = "".join(
        f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar\n" for part in parts
    )
    return (
        "/CIDInit/ProcSet findresource begin 12 dict begin begincmap\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{maps}endcmap end end"
    )


def _drawn(text: str, codes: Mapping[str, int]) -> str:
    shown = []
    for i, line in enumerate(text.split("\n")):
        if line:
            codes_of_line = "".join(f"{codes[letter]:04x}" for letter in line)
            shown.append(f"1 0 0 1 50 {750 - 14 * i} Tm <{codes_of_line}> Tj")
    return "BT /F 10 Tf " + "\n".join(shown) + " ET"


def word(*blocks: tuple[str, str], **properties: object) -> bytes:
    """A Word document of (style, text) paragraphs; python-docx's own properties emptied."""
    document = docx.Document()
    for name, value in {"author": "", "created": None, **properties}.items():
        if value is not None:
            setattr(document.core_properties, name, value)
    for style, text in blocks:
        document.add_paragraph(text, style=style or None)
    return saved(document)


def slides(*texts: tuple[str, str, str]) -> bytes:
    """A presentation of slides (title, body, notes)."""
    presentation = pptx.Presentation()
    for title, body, notes in texts:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    return saved(presentation)


def saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def zipped(members: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in members.items():
            stored = name == "mimetype"
            file.writestr(name, data, zipfile.ZIP_STORED if stored else None)
    return out.getvalue()


def changed(data: bytes, changes: Mapping[str, bytes]) -> bytes:
    """A zip file with some members replaced or added."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    return zipped(members | changes)


_NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"'
    for name, long in (
        ("office", "office"),
        ("text", "text"),
        ("table", "table"),
        ("draw", "drawing"),
        ("meta", "meta"),
        ("presentation", "presentation"),
    )
)


def opendocument(body: str, meta: str = "", mimetype: str = ODT) -> bytes:
    """An OpenDocument file: `body` within office:body, `meta` within office:meta."""
    dublin_core = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
    return zipped(
        {
            "mimetype": mimetype,
            "content.xml": f"<office:document-content {_NAMESPACES}><office:body>{body}"
            "</office:body></office:document-content>",
            "meta.xml": f"<office:document-meta {_NAMESPACES} {dublin_core}><office:meta>{meta}"
            "</office:meta></office:document-meta>",
        }
    )


def epub(
    chapters: Mapping[str, str],
    meta: str = "",
    items: str = "",
    more: Mapping[str, str | bytes] = {},
) -> bytes:
    """An EPUB of chapters: name -> XHTML, in the order of reading, in a folder called OEBPS."""
    manifest = "".join(
        f'<item id="c{i}" href="{name}" media-type="application/xhtml+xml"/>'
        for i, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{i}"/>' for i in range(len(chapters)))
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
            '<rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
            "OEBPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<metadata>{meta}</metadata><manifest>{manifest}{items}</manifest>"
            f"<spine>{spine}</spine></package>",
        }
        | {f"OEBPS/{name}": text for name, text in chapters.items()}
        | dict(more)
    )
