"""Which files make up the page? They are listed and read once; no request names one by a path."""

from __future__ import annotations

from importlib import resources

_FOLDER = resources.files("hashret.server").joinpath("page")
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_FIRST = "page.html"

#: The path of each file of the page, its name here and its type. Scripts name each other by paths
#: beside their own.
PAGE_FILES = {
    "/" if name == _FIRST else f"/page/{name}": (name, _TYPES[name.rpartition(".")[2]])
    for name in sorted(entry.name for entry in _FOLDER.iterdir())
}


def page_file(name: str) -> bytes:
    """The content of a file of the page."""
    return _FOLDER.joinpath(name).read_bytes()
