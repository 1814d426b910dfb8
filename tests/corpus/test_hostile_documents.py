"""Documents made to harm: each is refused with its class, and no neighbour notices."""

import io
import random
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.items import Item
from hashret.workers.pool import Limits, Workers
from hashret.workers.refusals import ERROR_CLASSES, Refused
from indexer import corpus
from indexer.corpus.documents import read_document
from indexer.corpus.extract import pdf, zipped
from tests.corpus import made

GOOD = {
    ".pdf": made.pdf(["some words", "of two pages"], {"Title": "t"}, [("mark", 1, 760)]),
    ".docx": made.word(("Heading 1", "some words"), ("", "of two paragraphs")),
    ".pptx": made.slides(("some words", "of a slide", "and its notes")),
    ".odt": made.opendocument("<office:text><text:h>some</text:h><text:p>words</text:p></office:text>"),
    ".epub": made.epub({"a.xhtml": "<h1>some</h1>", "b.xhtml": "<p>words</p>"}, "<dc:date>2020</dc:date>"),
}  # fmt: skip
#: What may become of a document with some bytes changed: it is read, or one of these says why not.
CLASSES = {"bomb", "damaged-document", "empty-text", "encrypted", "no-text", "other-type", "too-large"}  # fmt: skip
LAUGHS = "<!DOCTYPE a [<!ENTITY b 'ha'>{}]>".format(
    "".join(f"<!ENTITY b{i} '{f'&b{i - 1 or str()};' * 10}'>" for i in range(1, 10))
)
READ_ME = "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hostname'>]>"


def refused(data, suffix):
    with pytest.raises(Refused) as caught:
        read_document(Path(f"a{suffix}"), data=data)
    return caught.value.error_class


def read_all(folder: Path) -> dict[str, Item | corpus.Skipped]:
    found = list(corpus.read(folder, "text"))
    assert len({one.id for one in found}) == len(found)
    return {one.id: one for one in found}


def main_part(suffix):
    return {
        ".docx": "word/document.xml",
        ".pptx": "ppt/slides/slide1.xml",
        ".odt": "content.xml",
        ".epub": "OEBPS/book.opf",
    }[suffix]


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".odt", ".epub"])
def test_xml_that_declares_entities_is_refused_and_never_expanded(suffix):
    with zipfile.ZipFile(io.BytesIO(GOOD[suffix])) as file:
        part = file.read(main_part(suffix)).decode()
    part = part[part.index("?>") + 2 :] if part.startswith("<?xml") else part
    for declared in (LAUGHS, READ_ME):
        for encoding in ("utf-8", "utf-16"):
            xml = f"<?xml version='1.0' encoding='{encoding}'?>{declared}{part}".encode(encoding)
            started = time.process_time()
            assert refused(made.changed(GOOD[suffix], {main_part(suffix): xml}), suffix) == "bomb"
            assert time.process_time() - started < 1


def test_html_within_a_book_loads_and_expands_nothing():
    chapter = READ_ME + LAUGHS + "<html><body><p>words &b9; &b;</p></body></html>"
    found = read_document(Path("a.epub"), data=made.epub({"a.xhtml": chapter}))
    assert found.text == "words &b9; &b;"


@pytest.mark.parametrize("suffix", [".docx", ".pptx", ".odt", ".epub"])
def test_a_zip_bomb_is_given_up_at_its_limit(suffix, monkeypatch):
    bomb = b"<a>" + b" " * (8 << 20) + b"</a>"
    assert len(zlib.compress(bomb)) < 10_000
    data = made.changed(GOOD[suffix], {main_part(suffix): bomb})
    assert refused(data, suffix) == "bomb"
    for limit, value in (("FREE_BYTES", 1 << 30), ("MAX_BYTES", 1 << 20)):
        monkeypatch.setattr(zipped, limit, value)
    assert refused(data, suffix) == "bomb"


def test_many_members_count_together():
    part = bytes(1 << 20)
    members = {f"word/media/image{i}.bin": part for i in range(8)}
    assert refused(made.changed(GOOD[".docx"], members), ".docx") == "bomb"
    members = {f"m{i}": b"" for i in range(zipped.MAX_MEMBERS + 1)}
    assert refused(made.changed(GOOD[".docx"], members), ".docx") == "too-large"


def test_sizes_that_a_zip_claims_are_not_believed():
    data = bytearray(made.zipped({"mimetype": made.ODT, "content.xml": b" " * (8 << 20)}))
    directory = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    for claimed in (0, 10, (1 << 32) - 2):
        data[directory + 24 : directory + 28] = claimed.to_bytes(4, "little")
        assert refused(bytes(data), ".odt") in ("bomb", "damaged-document")


def test_a_zip_within_a_zip_and_names_with_dots_are_never_unpacked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("../../up.txt", f"{tmp_path}/absolute.txt", "word/../../x", "C:\\x", "word/inner.zip")
    inner = made.zipped({"a": bytes(1 << 20)})
    for suffix in (".docx", ".odt", ".epub"):
        data = made.changed(GOOD[suffix], dict.fromkeys(names, inner))
        same = read_document(Path(f"a{suffix}"), data=GOOD[suffix])
        assert read_document(Path(f"a{suffix}"), data=data) == same
    spine = made.epub({"../../../../../etc/hostname": "", "a.xhtml": "<p>words"})
    assert refused(spine, ".epub") == "damaged-document"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_more_comes_out_of_a_zip_than_its_limit(method):
    data = made.zipped({"mimetype": made.ODT, "content.xml": bytes(64 << 20)}, method)
    tracemalloc.start()
    try:
        is_known = method == zipfile.ZIP_DEFLATED
        with pytest.raises(Refused, match="unpacks to" if is_known else "compression"):
            read_document(Path("a.odt"), data=data)
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()


def test_deeply_nested_xml_is_read_or_refused():
    deep = "<text:span>" * 100_000 + "words" + "</text:span>" * 100_000
    data = made.opendocument(f"<office:text><text:p>{deep}</text:p></office:text>")
    assert read_document(Path("a.odt"), data=data).text == "words"
    for suffix in (".docx", ".pptx"):
        xml = b"<a>" * 100_000 + b"</a>" * 100_000
        data = made.changed(GOOD[suffix], {main_part(suffix): xml})
        assert refused(data, suffix) == "damaged-document"


def _pdf(content: str = "", **changes: str) -> bytes:
    """A PDF of one page with other content, or other objects: `o2` is object 2."""
    more = {int(name[1:]): body for name, body in changes.items()}
    return made.pdf(["some words"], more=more | ({11: made.stream(content)} if content else {}))


PDFS = {
    "pages that are their own parents": (_pdf(o2="<</Type/Pages/Count 2/Kids[2 0 R 2 0 R]>>"), "damaged-document"),
    "pages in a ring": (
        _pdf(o2="<</Type/Pages/Count 1/Kids[20 0 R]>>", o20="<</Type/Pages/Parent 2 0 R/Count 1/Kids[2 0 R]>>"),
        "damaged-document",
    ),
    "a hundred thousand pages": (
        _pdf(o2=f"<</Type/Pages/Count 100000/Kids[{'10 0 R ' * 100_000}]>>"), "too-large",
    ),
    "pages that are not there": (_pdf(o2="<</Type/Pages/Count 19000/Kids[10 0 R]>>"), "some words"),
    "a count beyond all": (_pdf(o2="<</Type/Pages/Count 1000000000/Kids[10 0 R]>>"), "some words"),
    "a negative count": (_pdf(o2="<</Type/Pages/Count -5/Kids[10 0 R]>>"), "some words"),
    "bookmarks in a ring": (
        _pdf(o6="<</First 20 0 R>>", o20="<</Title(a)/First 20 0 R/Next 20 0 R/Dest[10 0 R/Fit]>>"), "some words",
    ),
    "a stream in a ring of lengths": (
        _pdf(o11="<</Length 20 0 R>>stream\nBT ET\nendstream", o20="21 0 R", o21="20 0 R"), "empty-text",
    ),
    "objects in a stream that holds itself": (
        _pdf(o20="<</Type/ObjStm/N 1/First 5/Extends 20 0 R/Length 9>>stream\n20 0 <<>>\nendstream",
             o2="<</Type/Pages/Count 1/Kids[20 0 R]>>"), "damaged-document or empty-text",
    ),
    "arrays within arrays": (_pdf("[" * 200_000), "empty-text"),
    "a filter that fails": (_pdf(o11="<</Length 5/Filter/FlateDecode>>stream\nabcde\nendstream"), "empty-text"),
    "a filter that nobody has": (_pdf(o11="<</Length 5/Filter/No>>stream\nabcde\nendstream"), "empty-text"),
    "scripts and actions": (
        _pdf(o1="<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(while\\(1\\);)>>>>"), "some words",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def read_pdfs(tmp_path_factory):
    """What became of each hostile PDF, and of a good one before and after each."""
    folder = tmp_path_factory.mktemp("pdfs")
    for i, (data, _) in enumerate(PDFS.values()):
        (folder / f"{i:02}-good.pdf").write_bytes(GOOD[".pdf"])
        (folder / f"{i:02}-hostile.pdf").write_bytes(data)
    return read_all(folder)


@pytest.mark.parametrize("name", PDFS)
def test_hostile_pdfs_end_as_they_must(name, read_pdfs):
    i = list(PDFS).index(name)
    found, good = read_pdfs[f"{i:02}-hostile.pdf"], read_pdfs[f"{i:02}-good.pdf"]
    end = found.payload if isinstance(found, Item) else found.error_class
    assert end in PDFS[name][1].split(" or "), found  # versions of PDFium differ
    assert isinstance(good, Item)
    assert good.payload == "some words\n\nof two pages"


def test_a_pdf_that_takes_forever_ends_with_its_time(tmp_path):
    resources = "/Resources<</XObject<</A 21 0 R>>>>"
    forms = made.pdf(
        ["a"],
        more={
            10: f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 11 0 R{resources}>>",
            11: made.stream("/A Do"),
            21: f"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]{resources}/Length 12>>"
            "stream\n/A Do /A Do \nendstream",
        },
    )
    paths = [tmp_path / name for name in ("a.pdf", "b.pdf", "c.pdf")]
    for path, data in zip(paths, (GOOD[".pdf"], forms, GOOD[".pdf"]), strict=True):
        path.write_bytes(data)
    limits = Limits(seconds=3)
    with Workers("indexer.corpus.documents:reading", [None], n=1, limits=limits) as workers:
        (results,) = workers.map([[(path, False, None) for path in paths]])
    assert results[1].error_class == "over-time"
    assert results[0] == results[2]
    assert [text for text, _, _ in results[0][0]] == [b"some words", b"of two pages"]


@pytest.mark.parametrize("suffix", GOOD)
def test_changed_and_cut_documents_are_read_or_refused_beside_good_ones(suffix, tmp_path):
    chance = random.Random(suffix)
    good = GOOD[suffix]
    for i in range(60):
        (tmp_path / f"{i:03}-cut{suffix}").write_bytes(good[: len(good) * i // 60])
        flipped = bytearray(good)
        for _ in range(chance.choice([1, 3, 30])):
            flipped[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        (tmp_path / f"{i:03}-flipped{suffix}").write_bytes(flipped)
        (tmp_path / f"{i:03}-good{suffix}").write_bytes(good)
    found = read_all(tmp_path)
    assert len(found) == 180
    texts = {one.payload for name, one in found.items() if "good" in name}
    assert texts == {read_document(Path(f"a{suffix}"), data=good).text}
    skipped = {one.error_class for one in found.values() if not isinstance(one, Item)}
    assert skipped <= CLASSES <= set(ERROR_CLASSES)
    assert "damaged-document" in skipped


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([".docx", ".pptx", ".odt", ".epub"]),
    st.sampled_from(["content", "relations", "types"]),
    st.data(),
)
def test_changed_xml_within_a_sound_zip_is_read_or_refused(suffix, which, data):
    names = {
        "content": main_part(suffix),
        "relations": {".docx": "word/_rels/document.xml.rels", ".pptx": "ppt/_rels/presentation.xml.rels"},
        "types": {".odt": "meta.xml", ".epub": "META-INF/container.xml"},
    }  # fmt: skip
    name = names[which]
    if isinstance(name, dict):
        name = name.get(
            suffix, "[Content_Types].xml" if suffix in (".docx", ".pptx") else main_part(suffix)
        )
    with zipfile.ZipFile(io.BytesIO(GOOD[suffix])) as file:
        xml = bytearray(file.read(name))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(xml) - 1))
        xml[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=3))
        xml = xml or bytearray(b"<")
    error_class = ""
    try:
        read_document(Path(f"a{suffix}"), data=made.changed(GOOD[suffix], {name: bytes(xml)}))
    except Refused as found:
        error_class = found.error_class
    assert error_class in CLASSES | {"not-text", ""}


def test_the_limit_of_pages_is_the_one_of_the_message(monkeypatch):
    monkeypatch.setattr(pdf, "MAX_PAGES", 1)
    assert refused(GOOD[".pdf"], ".pdf") == "too-large"
