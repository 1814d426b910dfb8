"""Extract the text of Jupyter notebooks: their Markdown and code, not what the code printed."""

from __future__ import annotations

import json
from typing import Any

from hashret.workers.refusals import Refused
from indexer.corpus.extract import Decode, Document, Section
from indexer.corpus.extract.plain import in_markdown, sections_of
from indexer.corpus.extract.told import names, told


def extract(data: bytes, decode: Decode) -> Document:
    """The cells of a notebook in order, a new section at each heading of a Markdown cell."""
    found = decode(data, "")
    try:
        notebook = json.loads(found.text)
    except (ValueError, RecursionError) as error:
        reason = "too deep" if isinstance(error, RecursionError) else str(error)
        raise Refused("damaged-document", f"expected a notebook in JSON, got {reason}") from error
    cells = _cells(notebook)
    if cells is None:
        raise Refused("damaged-document", "expected a notebook with cells, got other JSON")
    said = notebook.get("metadata")
    authors = said.get("authors") if isinstance(said, dict) else None
    author = names(_text(one.get("name")) for one in _dicts(authors))
    sections = _sections(cells)
    title = next((one.title for one in sections if one.title), "")
    return Document(sections, told(title=title, author=author), found.encoding)


def _cells(notebook: Any) -> list[dict[str, Any]] | None:
    """The cells of a notebook, also of before version 4; None if it is none."""
    if not isinstance(notebook, dict):
        return None
    if isinstance(notebook.get("cells"), list):
        return _dicts(notebook["cells"])
    if isinstance(notebook.get("worksheets"), list):
        return [
            cell for sheet in _dicts(notebook["worksheets"]) for cell in _dicts(sheet.get("cells"))
        ]
    return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    """The text of a string or a list of strings; "" for anything else."""
    parts = value if isinstance(value, list) else [value]
    joined = "".join(one for one in parts if isinstance(one, str))
    # JSON may hold half of a surrogate pair, and NUL, which text has not
    return (
        joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    )


def _sections(cells: list[dict[str, Any]]) -> list[Section]:
    """The cells joined to sections: a cell without a heading belongs to the section before it."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    for cell in cells:
        text = _text(cell.get("source", cell.get("input")))
        is_markdown = cell.get("cell_type") in ("markdown", "heading")
        for one in sections_of(text, in_markdown) if is_markdown else [Section(text)]:
            if one.title:
                sections.append((one.title, []))
            if one.text.strip():
                sections[-1][1].append(one.text)
    return [Section("\n\n".join(parts), title) for title, parts in sections if parts]
