"""Bring the pages at the repository's root into the site of `mkdocs.yml`, with their links."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
#: Pages outside `docs/`, and where they are in the site.
PAGES = {
    "README.md": "index.md",
    "data/README.md": "data/README.md",
    **{
        name: name for name in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
    },
}
_TARGET = re.compile(r'(\]\(|(?:src|href)=")([^)#:"\s]+)((?:#[^)"\s]*)?[)"])')
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages at the root, and the records of decisions to the navigation."""
    for name, place in PAGES.items():
        files.append(File.generated(config, place, content=(ROOT / name).read_text("utf-8")))
    decisions = sorted(file.src_uri for file in files if file.src_uri.startswith("adr/"))
    config.nav = [*config.nav, {"Decisions": decisions}]
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links as they are from the page's place in the site; of one to source code the text."""
    at_root = {place: name for name, place in PAGES.items()}
    here = at_root.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def is_source(target: str) -> bool:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        return path not in PAGES and not path.startswith("docs/") and (ROOT / path).exists()

    def there(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        place = PAGES.get(path, path.removeprefix("docs/"))
        start = posixpath.dirname(page.file.src_uri) or "."
        return f"{before}{posixpath.relpath(place, start)}{after}"

    told = _LINK.sub(lambda link: link[1] if is_source(link[2]) else link[0], markdown)
    return _TARGET.sub(there, told)
