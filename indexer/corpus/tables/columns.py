"""Which columns of a table hold the text and the id, and what to say where they are missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hashret.kinds import kind_of
from hashret.workers.refusals import Refused
from indexer.corpus import ids
from indexer.corpus.reading import Reading

_SHOWN_NAMES = 12  # names of fields that are listed in a message
_LIKE_TEXT = 16  # mean characters of a column from which on it may be meant as the text


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that become the text and the id of its items."""

    texts: tuple[str, ...]
    """The columns that make up the text, joined by blank lines; none for items that are files."""
    id: str | None
    """The column that the user named; None: `id`, in tables that have one."""
    series: str | None = None
    """The column of the series id, if each row is a step of a sequence; then no text is needed."""
    noun: str = "text"
    """The kind of the items."""

    @classmethod
    def of(cls, kind: str, how: Reading) -> Columns:
        """The columns for items of a kind, as the user named them."""
        about = kind_of(kind)
        if about.of_steps and how.series_id is not None:
            return cls(how.values, how.series_id, how.series_id, kind)
        return cls(how.text_fields or (about.key,) if about.key else (), how.id_field, noun=kind)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, and `path`: what is not to be taken as a number or date."""
        return (*self.texts, self.id or "id", "path")

    def has_payload(self, names: Iterable[str]) -> bool:
        """Whether a row with fields of these names has a text, or the path of a file.

        Of steps, whether it has the id of their series; where a table is one series, it need not.
        """
        if self.series is not None:
            return self.series in names
        if not self.texts and kind_of(self.noun).of_steps:
            return True
        return not {*self.texts, "path"}.isdisjoint(names)

    def id_of(self, fields: Mapping[str, Any], default: str) -> str:
        """The id of a row; raises `Refused`."""
        name = self.id or "id"
        if name in fields:
            return ids.checked(fields[name])
        if self.id is not None:
            raise Refused("bad-id", f"expected an id in {name!r:.60}, got none")
        return default

    def text_of(self, fields: Mapping[str, Any]) -> str | None:
        """The text of a row: its fields joined by blank lines, without empty and missing ones.

        None if it has none of these fields. Raises `Refused`.
        """
        if not any(name in fields for name in self.texts):
            return None
        alone = len(self.texts) == 1
        found = [fields[name] for name in self.texts if name in fields]
        parts = [part for part in found if alone or part is not None]
        for part in parts:
            if not isinstance(part, str):
                raise Refused("bad-text", f"expected a string, got {type(part).__name__}")
        parts = [part for part in parts if part and not part.isspace()]
        if not parts:
            raise Refused("empty-text", "expected text, got nothing but white space")
        return "\n\n".join(parts)

    def without_payload(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that become metadata, but for `path`.

        Of several columns of text the last one is left out, which is taken as the body; those
        before, as a title, stay.
        """
        used = {self.id or "id", "path", *self.texts[-1:]}
        return {name: value for name, value in fields.items() if name not in used}

    def missing(self, found: Sequence[Mapping[str, Any]], *, in_header: bool = False) -> str:
        """The message for rows of which none has a payload, with the columns that they have.

        With `in_header`, these stand in the header of the table, if it has one.
        """
        if self.series is not None:
            expected = f"expected the id of a series in {self.series!r:.60}"
            return f"{expected}, got {_listed(*found)}; name another with --series-id"
        if not self.texts:
            return self.missing_in_row(*found)
        expected = f"expected {self._payloads()}"
        remedy = f"name the field of the {self.noun} with --text-field"
        if kind_of(self.noun).of_steps:
            remedy += ", or that of its id with --series-id, where each row is a step"
        if in_header:
            expected = f"expected a header row with a column {self._payloads()}"
            remedy += ", or give the table a header"
        if like := _like_text(found):
            remedy += f"; did you mean --text-field {like}?"
        return f"{expected}, got {_listed(*found)}; {remedy}"

    def missing_in_row(self, *found: Mapping[str, Any]) -> str:
        """The message for a row without a payload."""
        return f"expected {self._payloads()}, got {_listed(*found)}"

    def _payloads(self) -> str:
        if not self.texts:
            return "'path', the name of an image file"
        return " or ".join(f"{name!r:.60}" for name in (*self.texts, "path"))

    def missing_id(self, found: Sequence[Mapping[str, Any]]) -> str:
        """The message for rows of which none has the field that the user named for the id."""
        expected = f"expected the id in {self.id!r:.60}"
        return f"{expected}, got {_listed(*found)}; name another with --id-field"


def _listed(*rows: Mapping[str, Any]) -> str:
    """The names of the rows' fields, as a message shows them."""
    names = dict.fromkeys(name for fields in rows for name in fields)
    shown = [f"{name!r:.60}" for name in islice(names, _SHOWN_NAMES + 1)]
    return ", ".join(shown[:_SHOWN_NAMES]) + ", ..." * (len(shown) > _SHOWN_NAMES) or "no fields"


def _like_text(found: Sequence[Mapping[str, Any]]) -> str:
    """The column with the longest strings, as --text-field takes it; "" if none is like a text."""
    lengths: dict[str, int] = {}
    for fields in found:
        for name, value in fields.items():
            if isinstance(value, str):
                lengths[name] = lengths.get(name, 0) + len(value)
    name = max(lengths, key=lambda name: lengths[name], default="")
    if not name or lengths[name] < _LIKE_TEXT * len(found):
        return ""
    quoted = '"' + name.replace('"', '""') + '"' if {",", '"'} & set(name) else name
    return shlex.quote(quoted)
