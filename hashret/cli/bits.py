"""The verb `hashret bits`: what each bit of the codes means, a line each, or one in detail."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashret.cli.group import shown
from hashret.cli.output import (
    collection_argument,
    commit_option,
    counted,
    json_option,
    opened,
)

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.insight.meaning.bits import Bit, Bits, Sure
    from hashret.insight.meaning.turning import Turning
    from hashret.insight.meaning.units import Unit, Units

_IN_LINE = 4  # parts or items in the line of a bit, for either value
_WIDEST = 28  # characters of a word in the detail of a bit


@click.command()
@collection_argument
@click.option("--bit", type=click.IntRange(min=0), metavar="N", help="Tell all of bit N, from 0.")
@click.option("--units", "of_units", is_flag=True, help="Tell of the hidden units instead.")
@click.option(
    "--unit", type=click.IntRange(min=0), metavar="N", help="Tell all of hidden unit N, from 0."
)
@commit_option
@json_option
def bits(
    collection: Path,
    bit: int | None,
    of_units: bool,
    unit: int | None,
    commit: int | None,
    as_json: bool,
) -> None:
    """Say what each bit of COLLECTION's codes means, as far as one can.

    A line a bit: in which share of the items it is 1, how much of what it tells no other bit tells,
    which bit is most like it, and what turns it to 1 or 0 (of images, the items that are surest of
    either). It takes some seconds. With --units, a line a hidden unit of the model.
    """
    if bit is not None and (of_units or unit is not None):
        raise click.UsageError("--bit: expected no --units or --unit beside it; leave one out")
    with opened(collection, commit) as snapshot:
        if of_units or unit is not None:
            _show_units(snapshot, unit, as_json)
            return
        if bit is not None and bit >= snapshot.n_bits:
            raise click.UsageError(f"--bit: expected 0 to {snapshot.n_bits - 1}, got {bit}")
        from hashret.insight.meaning import bits as insight  # NumPy takes a moment

        found = insight.bits(snapshot)
    if as_json:
        click.echo(json.dumps(found.to_json(bit)))
        return
    lines = _list(found) if bit is None else _detail(found, found.bits[bit])
    for line in lines:
        click.echo(shown(line).rstrip())
    if found.note:
        click.echo(f"what turns a bit is not known: {found.note}", err=True)


def _show_units(collection: Collection, unit: int | None, as_json: bool) -> None:
    from hashret.insight.meaning.units import units

    found = units(collection)
    if unit is not None and unit >= len(found.units):
        raise click.UsageError(f"--unit: expected 0 to {len(found.units) - 1}, got {unit}")
    if as_json:
        click.echo(json.dumps(found.to_json(unit)))
        return
    lines = _list_units(found) if unit is None else _detail_of_unit(found, found.units[unit])
    for line in lines:
        click.echo(shown(line).rstrip())


def _list_units(found: Units) -> Iterator[str]:
    """A line a hidden unit, cut at the terminal's width."""
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    items = counted(found.n_items, "item")
    yield f"{items}. active: in how many of them the unit is above 0; bits: those"
    yield "that go with it (+) or against it (-)."
    yield ""
    parts = [one.part for unit in found.units for one in unit.turned_on_by[:1]]
    of_items = not parts or hasattr(parts[0], "x")  # a place says little without a picture
    yield f"unit  layer  active  {'bits':15} {'responds most to' if of_items else 'turned on by'}"
    for one in found.units:
        bits = " ".join(f"{bit}{'+' if value > 0 else '-'}" for bit, value in one.bits[:_IN_LINE])
        if of_items:
            told = ", ".join(item.id for item in one.items[:_IN_LINE])
        else:
            strongest = one.turned_on_by[:_IN_LINE]
            told = ", ".join(str(each.part).removeprefix("number ") for each in strongest)
        line = f"{one.unit:4}  {one.layer:5}  {one.active:6.0%}  {bits:15} {told}"
        yield line if len(line) <= width else line[: width - 1] + "…"


def _detail_of_unit(found: Units, unit: Unit) -> Iterator[str]:
    """All of one hidden unit."""
    yield (
        f"unit {unit.unit}, of layer {unit.layer}, is active in {unit.active:.0%} of "
        f"{found.n_items:,} items."
    )
    bits = ", ".join(f"{bit} ({value:+.2f})" for bit, value in unit.bits)
    yield f"Bits that go with it, by correlation: {bits}."
    if unit.turned_on_by:
        yield ""
        yield f"What turns it on, left out of {found.n_left_out:,} items one by one:"
        for line in _turning(unit.turned_on_by):
            yield f"  {line}"
        yield "  (how much of the activation is lost, in standard deviations)"
    if unit.items:
        width = max(60, shutil.get_terminal_size((100, 24)).columns)
        yield ""
        yield f"Items that it responds to most, among {found.n_items:,}, in standard deviations:"
        for item in unit.items:
            yield f"  {item.activation:5.2f}  {item.id}  {item.preview}"[:width]


def _list(found: Bits) -> Iterator[str]:
    """A line a bit, cut at the terminal's width."""
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    # a place says little without a picture
    of_items = not found.n_left_out or any(hasattr(p.part, "x") for p in found.bits[0].for_one)
    heads = ("surest of 1", "surest of 0") if of_items else ("turned to 1 by", "turned to 0 by")
    if not (found.n_left_out or found.n_sure):
        heads = ("", "")
    items = counted(found.n_items, "item")
    yield f"{items}. ones: in how many of them the bit is 1; alone: how much of what it tells,"
    yield "at most, no other bit tells; most like: the bit that goes with it, and the correlation."
    yield ""
    half = (width - 25) // 2 - 1
    yield f"bit  ones  alone  most like  {heads[0]:{half}} {heads[1]}"
    for bit in found.bits:
        like = f"{bit.most_alike:3} {bit.correlation:+.2f}"
        told = [
            ", ".join(
                [one.id for one in sure[:_IN_LINE]]
                if of_items
                else [str(one.part).removeprefix("number ") for one in turning[:_IN_LINE]]
            )
            for turning, sure in (
                (bit.for_one, bit.surest_one),
                (bit.for_zero, bit.surest_zero),
            )
        ]
        left = told[0] if len(told[0]) <= half else told[0][: half - 1] + "…"
        line = f"{bit.bit:3}  {bit.ones:4.0%}  {bit.alone:5.0%}  {like:>9}  {left:{half}} {told[1]}"
        yield line if len(line) <= width else line[: width - 1] + "…"


def _detail(found: Bits, bit: Bit) -> Iterator[str]:
    """All of one bit."""
    yield f"bit {bit.bit} is 1 in {bit.ones:.0%} of {found.n_items:,} items."
    yield (
        f"{bit.alone:.0%} of what it tells, at most, no other bit tells; most like it is bit "
        f"{bit.most_alike} (correlation {bit.correlation:+.2f})."
    )
    if bit.for_one or bit.for_zero:
        yield ""
        yield f"What turns it, left out of {found.n_left_out:,} items one by one:"
        yield f"  {'to 1':{_WIDEST + 8}}to 0"
        for pair in zip_longest(_turning(bit.for_one), _turning(bit.for_zero), fillvalue=""):
            yield f"  {pair[0]:{_WIDEST + 8}}{pair[1]}"
        yield "  (how much of the leaning to that value is lost, in standard deviations)"
    for value, sure in ((1, bit.surest_one), (0, bit.surest_zero)):
        if sure:
            yield ""
            yield f"Surest of {value}, among {found.n_sure:,} items:"
            yield from _sure(sure)


def _turning(turning: Sequence[Turning]) -> list[str]:
    return [f"{str(one.part)[:_WIDEST]:{_WIDEST}} {one.weight:.2f}" for one in turning]


def _sure(sure: Sequence[Sure]) -> Iterator[str]:
    width = max(60, shutil.get_terminal_size((100, 24)).columns)
    for one in sure:
        yield f"  {one.certainty:6.1%}  {one.id}  {one.preview}"[:width]
