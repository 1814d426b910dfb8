"""The items of a commit: found by row, by id, by a condition on their metadata, or in order.

Rows number the items of all segments; those of a segment follow one another. Files are opened when
something of them is first wanted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import merge
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from hashret.store.disk.damage import damaged
from hashret.store.disk.files import FileRecord
from hashret.store.layout import Layout
from hashret.store.segments.id_runs import IdRuns
from hashret.store.segments.record_schema import ItemRecord, hashes
from hashret.store.segments.records import Records
from hashret.store.segments.segment import Segment
from hashret.store.segments.value_files import TEXTS, THUMBNAILS, ValueForm, Values
from hashret.unicode_text import is_storable

if TYPE_CHECKING:
    from hashret.where.conditions import Condition

# Ids looked up at once, and segments, from which on all hashes are merged into a few sorted arrays:
# made once in 40 ns an item, they take a sixth of the time of one search a segment.
_MANY_IDS, _MANY_SEGMENTS = 256, 32
_MANY_ROWS = 32  # rows whose ids are read at once, from which on it pays


def open_records(layout: Layout, segment: Segment, *, streamed: bool = False) -> Records:
    """The records of a segment in their file, as `Records.open`."""
    if segment.records is None:
        raise damaged(layout.root, f"records of {segment.name}", "none")
    path = layout.segments / segment.records.name
    return Records.open(path, segment.records, segment.n_rows, streamed=streamed)


class StoredItems:
    """The items of some segments less the removed ones; threads may share it while none changes it.

    A writer adds segments and removes rows as it stages them.
    """

    def __init__(
        self,
        layout: Layout,
        segments: Sequence[Segment],
        opened: Mapping[str, Records] = MappingProxyType({}),
    ):
        """`opened` are the records of segments that need not be opened, by their names."""
        self._layout = layout
        self._opened = dict(opened)
        self._values: dict[str, Values] = {}  # by the name of the file
        self._runs: IdRuns | None = None
        self._set(segments)

    def _set(self, segments: Iterable[Segment]) -> None:
        self.segments = list(segments)
        self._firsts = [segment.first_row for segment in self.segments]

    def keep_opened(self, former: StoredItems) -> None:
        """Take over the files that `former`, of another commit of the same folder, has opened."""
        names = {segment.name for segment in self.segments}
        opened = {k: v for k, v in former._opened.copy().items() if k in names}
        self._opened = opened | self._opened
        files = {file.name for segment in self.segments for file in segment.files.values()}
        self._values = {k: v for k, v in former._values.copy().items() if k in files}

    # what a writer changes

    def add(self, segment: Segment) -> None:
        """Add a segment, whose rows come after all others."""
        self._set([*self.segments, segment])
        if self._runs is not None:
            self._runs.add(*self.records(segment).sorted_hashes())

    def remove(self, rows: np.ndarray) -> None:
        """Hide rows; those that are hidden already stay so."""
        for i, offsets in self._among(rows):
            removed = np.union1d(self.segments[i].removed, offsets).astype(np.uint32)
            self.segments[i] = replace(self.segments[i], removed=removed)

    def restore(self, rows: np.ndarray) -> None:
        """Show hidden rows again."""
        for i, offsets in self._among(rows):
            removed = np.setdiff1d(self.segments[i].removed, offsets).astype(np.uint32)
            self.segments[i] = replace(self.segments[i], removed=removed)

    def drop(self, names: Collection[str]) -> None:
        """Leave out the segments of these names."""
        self._runs = None
        self._set(one for one in self.segments if one.name not in names)

    # reading

    def rows(self) -> Iterator[int]:
        """The rows of all items, increasing."""
        for segment in self.segments:
            yield from (segment.first_row + segment.live(segment.n_rows)).tolist()

    def __len__(self) -> int:
        return sum(segment.n_live for segment in self.segments)

    @property
    def n_uncoded(self) -> int:
        """The number of items without a code."""
        return len(self) - sum(segment.n_live_codes for segment in self.segments)

    def records(self, segment: Segment) -> Records:
        """The opened records of a segment. Raises `DamagedError`."""
        found = self._opened.get(segment.name)
        if found is None:
            found = self._opened[segment.name] = open_records(self._layout, segment)
        return found

    def place(self, row: int) -> tuple[Segment, int]:
        """The segment of a row, and the row counted from its first."""
        at = bisect_right(self._firsts, row) - 1
        if at < 0 or row >= self.segments[at].stop:
            raise damaged(self._layout.root, f"row {row}", "none")
        return self.segments[at], row - self._firsts[at]

    def id(self, row: int) -> str:
        """The id of a row."""
        segment, offset = self.place(row)
        return self.records(segment).id(offset)

    def ids(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """The ids of rows, in their order."""
        if len(rows) < _MANY_ROWS:
            return [self.id(int(row)) for row in rows]
        wanted = np.asarray(rows, np.int64)
        order = np.argsort(wanted, kind="stable")
        ordered, found = wanted[order], np.empty(len(wanted), object)
        ends = np.searchsorted(ordered, [segment.stop for segment in self.segments])
        begin = 0
        for segment, end in zip(self.segments, ends.tolist(), strict=True):
            if begin < end:
                self.place(int(ordered[begin]))  # there is such a row
                here = ordered[begin:end] - segment.first_row
                found[order[begin:end]] = self.records(segment).ids_of(here)
                begin = end
        if begin < len(ordered):
            self.place(int(ordered[begin]))
        return list(found)

    def digest(self, row: int) -> bytes:
        """The digest of a row's content."""
        segment, offset = self.place(row)
        return self.records(segment).digest(offset)

    def shown(self, row: int) -> tuple[str, dict[str, Any], str]:
        """What a hit shows of a row: its id, metadata and preview."""
        segment, offset = self.place(row)
        records = self.records(segment)
        return records.id(offset), records.metadata(offset), records.preview(offset)

    def known(self, rows: Mapping[str, int]) -> dict[str, tuple[int, bytes]]:
        """The row and digest of each of these ids, given with its row, that a model has seen."""
        return {
            one: (row, self.digest(row))
            for one, row in rows.items()
            if not self.place(row)[0].is_pending
        }

    def record(self, row: int) -> ItemRecord:
        """The item of a row, but for its text and its thumbnail."""
        segment, offset = self.place(row)
        return self.records(segment).record(offset)

    def text(self, row: int) -> str | None:
        """The text of a row; None where the collection keeps none."""
        text: str | None = self._value(TEXTS, row)
        return text

    def thumbnail(self, row: int) -> bytes | None:
        """The thumbnail of a row, a WebP file; None where the collection keeps none."""
        thumbnail: bytes | None = self._value(THUMBNAILS, row)
        return thumbnail

    def _value(self, form: ValueForm, row: int) -> Any:
        segment, offset = self.place(row)
        file: FileRecord | None = getattr(segment, form.part)
        if file is None:
            return None
        found = self._values.get(file.name)
        if found is None:
            path = self._layout.segments / file.name
            found = self._values[file.name] = Values(form, path, file, segment.n_rows)
        return found.value(offset)

    def find(self, ids: Iterable[str]) -> dict[str, int]:
        """The row of each id that is shown; unknown ids are left out."""
        return dict(self._versions(ids, live=True))

    def versions(self, ids: Iterable[str]) -> list[tuple[str, int]]:
        """The rows of each id, also those that are hidden."""
        return list(self._versions(ids, live=False))

    def _versions(self, ids: Iterable[str], *, live: bool) -> Iterator[tuple[str, int]]:
        wanted = [one for one in dict.fromkeys(ids) if is_storable(one)]
        hashed = hashes(wanted)
        if len(wanted) >= _MANY_IDS and len(self.segments) >= _MANY_SEGMENTS:
            yield from self._versions_by_runs(wanted, hashed, live=live)
            return
        left = list(zip(wanted, hashed.tolist(), strict=True))
        for segment in reversed(self.segments):  # a version that is shown is mostly a late one
            if not left:
                return
            rows = self.records(segment).index.find(left)
            for one, row in rows.items():
                if not live or not segment.hides(row):
                    yield one, segment.first_row + row
            if live and rows:
                left = [
                    pair for pair in left if pair[0] not in rows or segment.hides(rows[pair[0]])
                ]

    def _versions_by_runs(
        self, wanted: list[str], hashed: np.ndarray, *, live: bool
    ) -> Iterator[tuple[str, int]]:
        """As `_versions`, for many ids in many segments."""
        if self._runs is None:
            runs = IdRuns()
            for segment in self.segments:
                runs.add(*self.records(segment).sorted_hashes())
            self._runs = runs
        for i, number, offset in self._runs.find(hashed):
            segment = self.segments[number]
            if self.records(segment).id(offset) != wanted[i]:
                continue
            if not live or not segment.hides(offset):
                yield wanted[i], segment.first_row + offset

    def values(self, segment: Segment, key: str, rows: np.ndarray) -> list[Any]:
        """The metadata value of this key of some rows of a segment; None where one has none."""
        records = self.records(segment)
        return [records.metadata(row).get(key) for row in rows.tolist()]

    def by_id(self) -> Iterator[tuple[str, int]]:
        """The (id, row) of every item, ordered by id, in memory of 4 bytes an item."""
        return merge(*(self._segment_by_id(segment) for segment in self.segments))

    def _segment_by_id(self, segment: Segment) -> Iterator[tuple[str, int]]:
        records = self.records(segment)  # first: how many rows there are is known from then on
        shown = np.ones(segment.n_rows, bool)
        shown[segment.removed] = False
        for item_id, row in records.by_id():
            if shown[row]:
                yield item_id, segment.first_row + row

    def rows_where(self, condition: Condition) -> np.ndarray:
        """The rows of the items that satisfy the condition, increasing int64."""
        from hashret.where.columns import satisfied  # it loads Arrow's functions

        found = []
        for segment in self.segments:
            fits = satisfied(condition, self.records(segment))
            fits[segment.removed] = False
            found.append(segment.first_row + np.flatnonzero(fits))
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def by_segment(self, rows: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """The name of each segment that has some of the rows, and these, counted from its first."""
        return [(self.segments[i].name, offsets) for i, offsets in self._among(rows)]

    def _among(self, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """The position of each segment that has some of the rows, and these, counted from 0."""
        rows = np.sort(np.asarray(rows, np.int64))
        owner = np.searchsorted(np.array(self._firsts, np.int64), rows, side="right") - 1
        for i in np.unique(owner).tolist():
            offsets = rows[owner == i] - self._firsts[i]
            if i < 0 or offsets[-1] >= self.segments[i].n_rows:
                raise damaged(self._layout.root, "rows of items", "others")
            yield i, offsets
