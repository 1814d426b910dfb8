"""What a file is by its first bytes, so that a wrong ending is refused by its right name."""

from __future__ import annotations

import io
from zipfile import ZipFile

from hashret.workers.refusals import Refused
from indexer.corpus.extract.zipped import MAX_MEMBERS

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # begins a Compound File, as of Office before 2007
#: Suffixes of documents that are not read -> the one to save them as.
NEWER = (
    dict.fromkeys((".doc", ".dot", ".docm", ".dotx"), ".docx")
    | dict.fromkeys((".ppt", ".pps", ".pptm", ".ppsx"), ".pptx")
    | {".xls": ".csv", ".pages": ".docx", ".key": ".pptx", ".djvu": ".pdf", ".mobi": ".epub"}
)

_LOCKED = "an Office document with a password"
# The name of a stream in a Compound File -> what the file is. A message comes first, because its
# attachments may be any of the others.
_STREAMS = {
    "__properties_version1.0": "an Outlook message (.msg)",
    "EncryptedPackage": _LOCKED,
    "WordDocument": "an old Word document; save it as .docx",
    "PowerPoint Document": "an old PowerPoint presentation; save it as .pptx",
    "Workbook": "an old Excel workbook; save it as .xlsx or .csv",
}
# The beginning of a member's name in a zip file -> what the file is.
_FOLDERS = {
    "word/": "a Word document (.docx)",
    "ppt/": "a PowerPoint presentation (.pptx)",
    "xl/": "an Excel workbook (.xlsx)",
}
_MIMETYPES = {
    b"application/epub+zip": "an EPUB (.epub)",
    b"application/vnd.oasis.opendocument.text": "an OpenDocument text (.odt)",
    b"application/vnd.oasis.opendocument.presentation": "an OpenDocument presentation (.odp)",
    b"application/vnd.oasis.opendocument.spreadsheet": "an OpenDocument spreadsheet (.ods)",
}


def require(suffix: str, data: bytes) -> None:
    """Raise `Refused` if the first bytes show another format than the suffix does.

    Its class is "other-type", or "encrypted" for an Office document with a password. Damaged files
    and text pass: their format says what is wrong with them.
    """
    found = described(data)
    if found == _LOCKED:
        raise Refused("encrypted", f"expected a document without a password, got {found}")
    if found and f"({suffix})" not in found:
        name = f"{suffix}, as its name says" if suffix else "text in a file without a suffix"
        raise Refused("other-type", f"expected {name}, got {found}")


def described(data: bytes) -> str:
    """What the first bytes show, such as "an EPUB (.epub)"; "" if it is none of the known ones."""
    if data.startswith(b"%PDF-"):
        return "a PDF (.pdf)"
    if data.startswith(_OLE):
        names = (name for name in _STREAMS if name.encode("utf-16-le") in data)
        return next((_STREAMS[name] for name in names), "")
    if data.startswith(b"PK\x03\x04"):
        return _zip_described(data)
    return ""


def _zip_described(data: bytes) -> str:
    if data.count(b"PK\x01\x02") > MAX_MEMBERS:
        return ""
    try:
        with ZipFile(io.BytesIO(data)) as file:
            names = file.namelist()
            if "mimetype" in names and file.getinfo("mimetype").compress_type == 0:
                with file.open("mimetype") as stream:
                    return _MIMETYPES.get(stream.read(100).strip(), "")
    except Exception:  # zipfile raises many kinds; the format says what is wrong
        return ""
    if "[Content_Types].xml" not in names:
        return "a zip archive (.zip)"
    return next((_FOLDERS[b] for n in names for b in _FOLDERS if n.startswith(b)), "")
