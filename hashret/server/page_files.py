"""Which files make up the page? They are read once, and no request names one by a path."""

from __future__ import annotations

from importlib import resources

#: The path of each file of the page, its name here and its type.
PAGE_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/favicon.ico": ("favicon.ico", "image/x-icon"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


def page_file(name: str) -> bytes:
    """The content of a file of the page."""
    return resources.files("hashret.server").joinpath("page", name).read_bytes()
