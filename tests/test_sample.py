"""The sample that is learned from: each member equally likely, within bounds of memory."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hashret.items import Item
from indexer.ingest import intake
from indexer.ingest.counts import Stopwatch
from indexer.ingest.intake import Intake
from indexer.ingest.sample import reservoir


@given(st.lists(st.integers(0, 50)), st.integers(1, 30), st.integers(1, 200), st.integers(0, 99))
def test_a_sample_keeps_to_its_bounds_and_the_order(weights, size, most, seed):
    members = list(enumerate(weights))
    kept = reservoir(members, size, seed, weight=lambda member: member[1], most=most)
    assert kept == sorted(set(kept))
    assert set(kept) <= set(members)
    assert len(kept) <= size
    assert len(kept) == 1 or sum(weight for _, weight in kept) <= most
    if len(members) <= size and sum(weights) <= most:
        assert kept == members
    assert kept == reservoir(members, size, seed, weight=lambda member: member[1], most=most)


def test_each_member_is_as_likely_where_memory_is_the_bound():
    counts = Counter()
    for seed in range(3000):
        counts.update(reservoir(range(20), 10, seed, weight=lambda member: 1, most=6))
    mean = counts.total() / 20
    assert all(abs(counts[i] - mean) < 6 * mean**0.5 for i in range(20)), counts


def test_a_batch_holds_few_bytes_of_images(monkeypatch):
    monkeypatch.setattr(intake, "_BATCH_BYTES", 1000)
    taking = Intake("image", None, None, None, Stopwatch())
    stream = iter([Item(str(i), bytes(400)) for i in range(7)])
    assert [len(taking._take(stream)) for _ in range(3)] == [3, 3, 1]
