"""The verb `hashret explain`: why an item is near to a query, in sentences and a small table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.group import shown
from hashret.cli.output import collection_argument, commit_option, json_option, opened
from hashret.cli.payloads import payload_of
from hashret.codes import Codes

if TYPE_CHECKING:
    from hashret.insight.explain import Effect, Explanation, Side

#: Parts of one side that are shown: those that draw the two together most, and those that draw
#: them apart.
_TOGETHER, _APART = 8, 2
_LINE = 64  # bits of a code in one line
_LONGEST = 32  # characters of a word that are shown


@click.command()
@collection_argument
@click.argument("given", nargs=-1, required=True, metavar="[QUERY] ID")
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    help="The query is the text, image, vector or sequence in this file.",
)
@click.option("--id", "query_id", metavar="ID", help="The query is the stored item of this id.")
@click.option(
    "--item-file",
    type=click.Path(path_type=Path),
    help="What the item ID was made of, where the collection does not keep it.",
)
@commit_option
@json_option
def explain(
    collection: Path,
    given: tuple[str, ...],
    file: Path | None,
    query_id: str | None,
    item_file: Path | None,
    commit: int | None,
    as_json: bool,
) -> None:
    """Say why the item ID of COLLECTION is as near as it is to QUERY.

    QUERY is a text ("-" reads standard input), a vector as JSON, or what --file or --id gives. Each
    word (or place of an image, or number of a vector) is left out, and the rest encoded again: that
    tells exactly which bits of the codes it carries.
    """
    others = [one for one in (file, query_id) if one is not None]
    if len(given) + len(others) != 2 or len(others) > 1:
        raise click.UsageError("expected one QUERY, --file or --id, and the ID of an item")
    with opened(collection, commit) as snapshot:
        from hashret.insight import explain as insight  # when it is needed: NumPy takes a moment

        asked: dict[str, Any] = {"query_id": query_id}
        if query_id is None:
            text = given[0] if file is None else None
            asked = {"payload": payload_of(snapshot.kind, text, file)}
        if item_file is not None:
            asked["item_payload"] = payload_of(snapshot.kind, None, item_file)
        found = insight.explain(snapshot, item_id=given[-1], **asked)
    if as_json:
        click.echo(json.dumps(found.to_json()))
        return
    for line in _told(found):
        click.echo(shown(line).rstrip())


def _told(found: Explanation) -> Iterator[str]:
    """The explanation as lines."""
    agree, n_bits = len(found.agree), found.n_bits
    yield f"{agree} of {n_bits} bits agree; with an item at random, {found.usual} do."
    yield from _headline(found)
    yield ""
    yield from _codes(found)
    for name, side in (("query", found.query), ("item", found.item)):
        yield ""
        yield from _side(name, side, agree)


def _headline(found: Explanation) -> Iterator[str]:
    """The part of either side that most bits depend on."""
    sides = [side for side in (found.query, found.item) if side.parts]
    if not sides:
        return
    side = max(sides, key=lambda one: one.parts[0].effect)
    most, name = side.parts[0], "query" if side is found.query else "item"
    part = _name(most)
    if len(most.bits) == found.n_bits:
        yield f"The model knows nothing else in the {name}: without {part} it has no code."
    elif most.effect > 0:
        yield f"Without {part} in the {name} it would be {len(found.agree) - most.effect}."
    else:
        noun = (found.parts or "parts").removesuffix("s")
        yield f"No single {noun} carries them: without any one, as many or more would agree."


def _codes(found: Explanation) -> Iterator[str]:
    """Both codes, bit 0 first, with a mark under each bit that differs."""
    rows = [
        ("query", Codes.from_hex(found.query.code).bits[0].tolist(), "01"),
        ("item", Codes.from_hex(found.item.code).bits[0].tolist(), "01"),
        ("differ", [bit in set(found.differ) for bit in range(found.n_bits)], " ^"),
    ]
    for start in range(0, found.n_bits, _LINE):
        for name, bits, marks in rows:
            drawn = "".join(marks[bit] for bit in bits[start : start + _LINE])
            groups = (drawn[at : at + 8] for at in range(0, len(drawn), 8))
            yield f"{name:8}{' '.join(groups)}"


def _side(name: str, side: Side, agree: int) -> Iterator[str]:
    """What each part of the query or the item carries."""
    if not side.parts:
        yield f"{name}: {side.note}" + (", or pass --item-file" if name == "item" else "")
        return
    noun = type(side.parts[0].part).__name__.lower().rstrip("s")
    which = f"each of its {noun}s"
    if len(side.parts) < side.n_parts:
        which = f"each of the {len(side.parts)} of its {side.n_parts:,} {noun}s that weigh most"
    if noun == "place":
        yield f"{name}: how much each place of the picture draws the two together"
        yield "(and how many fewer or more bits would agree if it were painted over)"
        yield from _picture(side)
        return
    yield f"{name}, without {which}:"
    by_pull = sorted(side.parts, key=lambda one: -one.pull)
    told = by_pull
    if len(by_pull) > _TOGETHER + _APART:
        told = by_pull[:_TOGETHER] + [one for one in by_pull[-_APART:] if one.pull < 0]
    widest = max(8, *(len(_name(one)) for one in told))
    yield f"  {'':{widest}}  agree  draws together  turns bits"
    for one in told:
        bits = ", ".join(map(str, one.bits[:12])) + (", ..." if len(one.bits) > 12 else "")
        yield f"  {_name(one):{widest}}  {agree - one.effect:5}  {_percent(one.pull):>14}  {bits}"
    if len(told) < len(by_pull):
        yield f"  and {len(by_pull) - len(told)} more that weigh less"


def _picture(side: Side) -> Iterator[str]:
    """The places as they lie in the picture."""
    rows: dict[float, list[Effect]] = {}
    for one in sorted(side.parts, key=lambda one: (one.part.y, one.part.x)):  # type: ignore[union-attr]
        rows.setdefault(one.part.y, []).append(one)  # type: ignore[union-attr]
    for row in rows.values():
        cells = (
            f"{_percent(one.pull):>4} {f'({-one.effect:+})' if one.effect else '':4}" for one in row
        )
        yield "  " + " ".join(cells)


def _percent(share: float) -> str:
    """The share in whole percents, never "-0%"."""
    return f"{round(100 * share)}%"


def _name(one: Effect) -> str:
    """A part as a sentence names it: a word in quotes, shortened."""
    named = str(one.part)
    if hasattr(one.part, "word"):
        named = named if len(named) <= _LONGEST else named[: _LONGEST - 1] + "…"
        return f'"{named}"'
    return f"the place {named}" if hasattr(one.part, "x") else named
