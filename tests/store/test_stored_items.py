"""The items of some segments beside a plain dictionary of them, whatever is added and removed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.errors import DamagedError
from hashret.store.layout import Layout
from hashret.store.segments import stored_items
from hashret.store.segments.record_batch import batch_of, write_records
from hashret.store.segments.record_schema import ItemRecord
from hashret.store.segments.segment import Segment
from hashret.store.segments.stored_items import StoredItems
from hashret.store.segments.value_files import TEXTS, write_values
from hashret.where.grammar import parse


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return Layout.create(tmp_path_factory.mktemp("items") / "c")


class Model:
    """Every row ever added, and those of them that are shown."""

    def __init__(self, layout):
        self.layout = layout
        self.items = StoredItems(layout, [])
        self.rows = {}  # row -> (record, whether it has a code)
        self.shown = {}  # id -> row
        self.segments = {}  # name -> rows
        self.next = 0

    def add(self, ids, n_coded, version, gap=0, texts=True):
        first, name = self.next + gap, f"s{version}"
        given = [
            ItemRecord(one, version.to_bytes(16), {"v": version, one or "e": i}, one, f"t{version}")
            for i, one in enumerate(ids)
        ]
        records = write_records(self.layout, name, batch_of(given))
        kept = write_values(self.layout, name, TEXTS, [i.text for i in given]) if texts else None
        n, n_coded = len(ids), min(n_coded, len(ids))
        segment = Segment(name, first, n, n_coded, 8, "m", None, records, kept)
        self.items.remove(np.array([self.shown.pop(one) for one in ids if one in self.shown]))
        self.items.add(segment)
        for i, one in enumerate(given):
            self.rows[first + i] = (one, i < n_coded, texts)
            self.shown[one.id] = first + i
        self.segments[name] = range(first, first + n)
        self.next = first + n

    def remove(self, rows):
        rows = [row for row in self.rows if row % 5 in rows]
        self.items.remove(np.array(rows, np.int64))
        self.shown = {one: row for one, row in self.shown.items() if row not in rows}

    def restore(self, ids):
        """The last version of each id that is hidden."""
        back = {self.rows[row][0].id: row for row in self.rows if self.rows[row][0].id in ids}
        back = {one: row for one, row in back.items() if one not in self.shown}
        self.items.restore(np.array(list(back.values()), np.int64))
        self.shown |= back

    def drop(self, nth):
        names = list(self.segments)[nth : nth + 1]
        self.items.drop(names)
        for name in names:
            for row in self.segments.pop(name):
                record = self.rows.pop(row)[0]
                if self.shown.get(record.id) == row:
                    del self.shown[record.id]

    def assert_same(self, items):
        rows = sorted(self.shown.values())
        assert len(items) == len(rows)
        assert list(items.rows()) == rows
        assert list(items.by_id()) == sorted(self.shown.items())
        asked = [*self.shown, "absent", "", "\ud800", "\0", *"abcdefgh"]
        assert items.find(asked) == {one: self.shown[one] for one in asked if one in self.shown}
        for one in "abcdefgh":
            assert items.find([one]) == ({one: self.shown[one]} if one in self.shown else {})
        versions = sorted((record.id, row) for row, (record, _, _) in self.rows.items())
        assert sorted(items.versions({one for one, _ in versions})) == versions
        assert items.n_uncoded == sum(not self.rows[row][1] for row in rows)
        for row, (record, _, texts) in self.rows.items():
            found = items.record(row)
            assert (items.id(row), items.digest(row)) == (record.id, record.digest)
            assert (found.id, found.digest, found.metadata) == (
                record.id,
                record.digest,
                record.metadata,
            )
            assert items.text(row) == (record.text if texts else None)
        asked = [*self.rows, *reversed(self.rows)]  # one after another, and many at once
        assert items.ids(asked) == [self.rows[row][0].id for row in asked]
        if asked:
            with pytest.raises(DamagedError):
                items.ids([*asked, self.next])
        for condition, fits in (
            ("v >= 2", lambda record: record.metadata["v"] >= 2),
            ("id in ('a', 'b')", lambda record: record.id in ("a", "b")),
            ("c == 0", lambda record: record.metadata.get("c") == 0),
        ):
            expected = [row for row in rows if fits(self.rows[row][0])]
            assert items.rows_where(parse(condition)).tolist() == expected
        of_segments = [
            row
            for segment in items.segments
            for row in (segment.first_row + segment.live(segment.n_rows)).tolist()
        ]
        assert of_segments == rows
        by_segment = {name: offsets.tolist() for name, offsets in items.by_segment(rows)}
        assert by_segment == {
            name: [row - of[0] for row in of if row in rows]
            for name, of in self.segments.items()
            if set(of) & set(rows)
        }
        for segment in items.segments:
            some = segment.live(segment.n_rows)
            expected = [
                self.rows[segment.first_row + row][0].metadata.get("a") for row in some.tolist()
            ]
            assert items.values(segment, "a", some) == expected


IDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "é", "日", ""]), unique=True)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            IDS.filter(len),
            st.integers(0, 6),
            st.integers(0, 3),
            st.booleans(),
        ),
        st.tuples(st.just("remove"), st.sets(st.integers(0, 4))),
        st.tuples(st.just("restore"), IDS),
        st.tuples(st.just("drop"), st.integers(0, 3)),
    ),
    max_size=10,
)


@pytest.mark.parametrize("many", [1, 1000], ids=["by merged runs", "by segment"])
@settings(max_examples=40)
@given(STEPS)
def test_items_are_those_of_a_dictionary(layout, many, steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_items, "_MANY_IDS", many)
        patch.setattr(stored_items, "_MANY_SEGMENTS", many)
        patch.setattr(stored_items, "_MANY_ROWS", many)
        compare(layout, steps)


def compare(layout, steps):
    model = Model(layout)
    for version, (what, *how) in enumerate(steps):
        if what == "add":
            ids, n_coded, gap, texts = how
            model.add(ids, n_coded, version, gap, texts)
        else:
            getattr(model, what)(*how)
        model.assert_same(model.items)
    # what another one has opened, also of segments that are gone, changes nothing
    again = StoredItems(layout, model.items.segments)
    again.keep_opened(model.items)
    model.assert_same(again)
    model.items.drop([segment.name for segment in model.items.segments])
    assert (len(model.items), list(model.items.by_id()), model.items.find(["a"])) == (0, [], {})


def test_records_that_are_given_need_no_file(layout):
    """Those of another commit do not take their place."""
    model = Model(layout)
    model.add(["a", "b"], 2, 0)
    (segment,) = model.items.segments
    opened = {segment.name: model.items.records(segment)}
    without = replace(segment, records=None)
    items = StoredItems(layout, [without], opened)
    items.keep_opened(StoredItems(layout, [without]))
    items.keep_opened(StoredItems(layout, [without], {segment.name: None}))
    assert items.find(["b"]) == {"b": 1}
    with pytest.raises(DamagedError, match="expected records of"):
        StoredItems(layout, [without]).id(0)


def test_files_are_opened_when_first_needed_and_once(layout, monkeypatch):
    model = Model(layout)
    for version, ids in enumerate((["a", "b"], ["c"], ["d"])):
        model.add(ids, 9, version)
    opened = []

    def counted(layout, segment, honest=stored_items.open_records):
        opened.append(segment.name)
        return honest(layout, segment)

    monkeypatch.setattr(stored_items, "open_records", counted)
    items = StoredItems(layout, model.items.segments)
    assert (len(items), items.n_uncoded, opened) == (4, 0, [])
    assert items.id(2) == "c"
    assert items.find(["d"]) == {"d": 3}
    assert items.find(["d"]) == {"d": 3}
    assert opened == ["s1", "s2"]
    later = StoredItems(layout, model.items.segments)
    later.keep_opened(items)
    assert [later.id(row) for row in range(4)] == ["a", "b", "c", "d"]
    assert opened == ["s1", "s2", "s0"]


@pytest.mark.parametrize("row", [-1, 3, 5, 1 << 40])
def test_a_row_that_no_segment_has_is_damage(layout, row):
    model = Model(layout)
    model.add(["a", "b", "c"], 3, 0)
    model.add(["d"], 3, 1, gap=3)
    for ask in (model.items.id, model.items.record, model.items.text, model.items.digest):
        with pytest.raises(DamagedError, match=f"expected row {row}, got none"):
            ask(row)
    with pytest.raises(DamagedError, match="expected rows of items"):
        model.items.by_segment([0, row])


def test_a_segment_whose_records_are_not_named_is_damage(layout):
    items = StoredItems(layout, [Segment("s9", 0, 3, 0, 8, "m", None, None)])
    with pytest.raises(DamagedError, match="expected records of s9, got none"):
        items.find(["a"])
