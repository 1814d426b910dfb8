"""How are hits shown to a person on a terminal? Rich draws them; a pipe never gets here.

Rich leaves out colours where NO_COLOR is set, and all of its escapes where TERM is dumb.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from hashret.cli.group import shown
from hashret.outside.originals import file_in
from hashret.search.snippets import place_of

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.items import Hit, Hits
    from hashret.search.snippets import Snippet

#: Columns of a terminal below which numbers stand above the texts, not beside them.
_NARROW = 64
#: Lines that the snippet of a hit takes at most.
_LINES = 2
#: Columns between those of a table.
_GAP = 2


def write_table(
    collection: Collection, hits: Hits, asked: Any, columns: Sequence[tuple[str, list[str]]]
) -> None:
    """Write the hits to standard output: the columns, and beside them id and snippet.

    A column is its title, and what stands in it for each hit. On a narrow terminal id and snippet
    stand below.
    """
    console = Console(highlight=False, markup=False, emoji=False)
    widths = [max(map(len, [title, *cells])) for title, cells in columns]
    beside = sum(widths) + _GAP * len(widths)
    is_narrow = console.width < _NARROW
    room = console.width - (_GAP if is_narrow else beside)
    # a word that does not fit goes to the next line, so a line's end stays empty
    parts = collection.snippets(hits, asked, width=max(20, _LINES * room - 12))
    if is_narrow:
        for hit, part, *of_hit in zip(hits, parts, *(cells for _, cells in columns), strict=True):
            numbers = [f"{cell} {title}" for cell, (title, _) in zip(of_hit, columns, strict=True)]
            console.print(Text("  ".join(numbers), style="dim"))
            console.print(_name(collection, hit), overflow="fold")
            if part.text:
                console.print(Padding(_marked(hit, part), (0, 0, 0, _GAP)))
        return
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for title, _ in columns:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for hit, part, *of_hit in zip(hits, parts, *(cells for _, cells in columns), strict=True):
        lines = [_name(collection, hit), *([_marked(hit, part)] if part.text else [])]
        table.add_row(*of_hit, Text("\n").join(lines))
    console.print(table)


def _name(collection: Collection, hit: Hit) -> Text:
    """The id, with a link to the file that it was indexed from, where that is still there."""
    name = str(hit.metadata.get("document", hit.id))
    files = (file_in(folder, name) for folder in collection.snapshot.folders)
    link = next((file.as_uri() for file in files if file is not None), None)
    return Text(shown(hit.id), style=Style(bold=True, link=link))


def _marked(hit: Hit, part: Snippet) -> Text:
    """The snippet, with the question's words marked; before it the place in its document."""
    text, end = Text.assemble((shown(place_of(hit.metadata)), "dim")), 0
    for start, stop in part.marks:
        text.append(shown(part.text[end:start]))
        text.append(shown(part.text[start:stop]), style="bold red")
        end = stop
    return text.append(shown(part.text[end:]))
