"""Office Open XML, the ground of Word and PowerPoint documents: checks, and text in elements.

python-docx and python-pptx give text of ordinary runs only. What was inserted in a tracked change,
stands in a content control or in a text box is as visible, so the elements themselves are walked.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from hashret.workers.refusals import Refused
from indexer.corpus.extract.safe_xml import require_no_entities
from indexer.corpus.extract.told import iso, names, told
from indexer.corpus.extract.zipped import Zipped, damaged

_T = TypeVar("_T")

# Elements whose text nobody sees: properties, what a tracked change deleted or moved away, readings
# beside Chinese characters, the older copy of what a reader of today sees.
_UNSEEN = {"pPr", "rPr", "del", "moveFrom", "rt", "Fallback", "sectPr", "tblPr", "trPr", "tcPr"}
_SHOWN = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def opened(data: bytes, noun: str, library: Callable[[io.BytesIO], _T]) -> _T:
    """What the library makes of a document whose sizes and XML were checked before.

    Raises `Refused` as `Zipped` and `require_no_entities` do.
    """
    members = Zipped(data, noun)
    members.read_all(_check)
    with damage(noun):
        return library(io.BytesIO(data))


def _check(name: str, data: bytes) -> None:
    if name.endswith((".xml", ".rels")):
        require_no_entities(data)


@contextmanager
def damage(noun: str) -> Iterator[None]:
    """Refuse the document as damaged where a library stumbles over it.

    The libraries expect what Office writes; on anything else they raise whatever comes up:
    KeyError, AttributeError, lxml's SyntaxError, errors of their own.
    """
    try:
        yield
    except (Refused, MemoryError):
        raise
    except Exception as error:
        raise damaged(noun, f"{type(error).__name__}: {error}") from error


def core_properties(of: Any) -> dict[str, str]:
    """What the core properties of a library's document tell."""
    properties = of.core_properties
    try:
        created = properties.created  # in UTC, as the format demands
    except ValueError:
        created = None
    is_date = isinstance(created, datetime)
    return told(
        title=properties.title or "",
        author=names((properties.author or "").split(";")),
        date=iso(created.replace(tzinfo=UTC)) if is_date else "",
        language=properties.language or "",
    )


def name_of(element: Any) -> str:
    """The name of an element without its namespace; "" for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def text_of(paragraph: Any, boxes: list[Any] | None = None) -> str:
    """The visible text of a paragraph.

    Text boxes that are anchored in it are appended to `boxes`, and are no part of the text.
    """
    return "".join(_pieces(paragraph, [] if boxes is None else boxes))


def _pieces(element: Any, boxes: list[Any]) -> Iterator[str]:
    for child in element:
        name = name_of(child)
        if name == "t":
            yield child.text or ""
        elif name in _SHOWN:
            yield _SHOWN[name]
        elif name == "txbxContent":
            boxes.append(child)
        elif name not in _UNSEEN:
            yield from _pieces(child, boxes)


def table_text(table: Any, blocks: Callable[[Any], Iterator[str]]) -> str:
    """The text of a table: a line for each row, with tabs between its cells.

    `blocks` gives the texts of what stands in a cell.
    """
    rows = (
        "\t".join(" ".join(" ".join(blocks(cell)).split()) for cell in _inner(row, "tc"))
        for row in _inner(table, "tr")
    )
    return "\n".join(row for row in rows if not row.isspace() and row)


def _inner(element: Any, name: str) -> Iterator[Any]:
    """The elements of a name, also those within the wrappers of content controls and changes."""
    for child in element:
        found = name_of(child)
        if found == name:
            yield child
        elif found not in _UNSEEN:
            yield from _inner(child, name)
