"""The page of `hashret duplicates --html`: groups of copies side by side, in one static file.

It has no script and loads nothing: pictures are in it, and its own policy allows nothing else.
Whatever items say is escaped.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from difflib import SequenceMatcher
from hashlib import sha256
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hashret.outside.outputs import replaced, require_outside, require_place

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.insight.duplicates import Copy, Duplicates

_WHAT = "the page of duplicates"
_BEGIN = b"<!doctype html>\n<!-- hashret duplicates -->\n"
#: Groups on a page, items of a group and words of a text: more than anybody looks at.
_GROUPS, _ITEMS, _WORDS = 1_000, 24, 400
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --mark: #ffd54f; --on-mark: #000 }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem }
section { border-top: 1px solid var(--line); padding: 1rem 0 }
h2 { font-size: 1rem; margin: 0 0 .5rem; overflow-wrap: anywhere }
ul { display: flex; flex-wrap: wrap; gap: 1rem; list-style: none; margin: 0; padding: 0 }
li { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; width: 13rem }
li.text { flex: 1 1 24rem; width: auto }
li.keep { border: 2px solid #2e7d32 }
img { display: block; height: 9rem; margin-bottom: .5rem; max-width: 100%; object-fit: contain }
p { margin: .25rem 0; overflow-wrap: anywhere }
.words { max-height: 22rem; overflow: auto; white-space: pre-wrap }
mark { background: var(--mark); color: var(--on-mark) }
"""


def require_place_for_page(path: Path) -> None:
    """Raise `InputError` unless the page can be written to `path` and no other file is lost."""
    require_outside(path, _WHAT)
    require_place(path, _WHAT, lambda stream: stream.read(len(_BEGIN)) == _BEGIN)


def write_page(path: Path, collection: Collection, found: Duplicates, name: str) -> None:
    """Write the page of what was `found` in the collection called `name`. Raises `InputError`."""
    with replaced(path, _WHAT) as stream:
        stream.write(_BEGIN)
        for part in _page(collection, found, name):
            # a name of a file may hold halves of characters
            stream.write(part.encode("utf-8", "backslashreplace"))


def _page(collection: Collection, found: Duplicates, name: str) -> Iterator[str]:
    allowed = b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{allowed}'"
    yield (
        '<html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Duplicates in {escape(name)}</title><style>{_STYLE}</style>"
        f"<main><h1>Duplicates in {escape(name)}</h1>"
        f"<p>{len(found):,} groups of copies of {found.n_items:,} items; "
        f"{found.n_copies:,} items not to be kept. Nothing was removed.</p>"
    )
    if found.note:
        yield f"<p>{escape(found.note)}</p>"
    for number, group in enumerate(islice(found, _GROUPS), start=1):
        yield f"<section><h2>{number}. {escape(group[0].id)}: {len(group)} items</h2><ul>"
        for one in group[:_ITEMS]:
            yield _item(collection, one, group[0])
        yield "</ul>"
        if len(group) > _ITEMS:
            yield f"<p>and {len(group) - _ITEMS:,} more</p>"
        yield "</section>"
    if len(found) > _GROUPS:
        yield f"<p>and {len(found) - _GROUPS:,} more groups</p>"
    yield "</main></html>\n"


def _item(collection: Collection, one: Copy, kept: Copy) -> str:
    """An item: its picture or text, its id, how near it is to the kept one, and its size."""
    says = "keep" if one is kept else f"{one.similarity:.0%} alike"
    if one is not kept and one.distance >= 0:
        says += f", {one.distance} bits apart"
    facts = [
        says,
        *(f"{key} {one.metadata[key]}" for key in ("size", "modified") if key in one.metadata),
    ]
    inner = "".join(f"<p>{escape(str(fact))}</p>" for fact in facts)
    classes = ["keep"] if one is kept else []
    text = one.preview if one.text is None else one.text
    picture = thumbnail_of(collection, one.id)
    if picture is not None:
        data = b64encode(picture).decode()
        inner = f'<img alt="" src="data:image/webp;base64,{data}">' + inner
    elif text:
        classes.append("text")
        other = kept.preview if kept.text is None else kept.text
        inner += f'<p class="words">{_marked(text, "" if one is kept else other)}</p>'
    named = f' class="{" ".join(classes)}"' if classes else ""
    return f"<li{named}><p><strong>{escape(one.id)}</strong></p>{inner}</li>"


def thumbnail_of(collection: Collection, item_id: str) -> bytes | None:
    """The small picture, WebP, that the collection keeps of an item; None where it keeps none."""
    kept = getattr(collection, "thumbnail", None)
    return None if kept is None else cast("bytes | None", kept(item_id))


def _marked(text: str, other: str) -> str:
    """The beginning of a text as HTML; words that `other` has not, if there is one, are marked."""
    words = text.split()
    shown, more = words[:_WORDS], " …" if len(words) > _WORDS else ""
    if not other:
        return escape(" ".join(shown)) + more
    matcher: SequenceMatcher[Any] = SequenceMatcher(None, other.split()[:_WORDS], shown, False)
    parts: list[str] = []
    for what, _, _, start, stop in matcher.get_opcodes():
        part = escape(" ".join(shown[start:stop]))
        if part:
            parts.append(part if what == "equal" else f"<mark>{part}</mark>")
    return " ".join(parts) + more
