"""What each bit means: shares and entropies against plain Python, leaving out against `explain`."""

import json
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import Codes, Collection, Item
from hashret.errors import CollectionError
from hashret.insight.explain import explain
from hashret.insight.meaning import bits as bits_file
from hashret.insight.meaning import turning as turning_file
from hashret.insight.meaning.bits import bits
from indexer import Indexer
from tests.corpora import topic_items
from tests.insight.conftest import items_of, made


def entropy(counts):
    """By Miller's formula, value by value."""
    n = sum(counts)
    plain = -sum(count / n * math.log(count / n) for count in counts if count)
    return plain + (sum(count > 0 for count in counts) - 1) / (2 * n)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), share=st.floats(0.02, 0.98))
def test_likeness_and_what_a_bit_tells_alone_by_the_formulas(seed, n, share):
    rng = np.random.default_rng(seed)
    rows = rng.random((n, 8)) < share
    rows[:, 3] = rows[:, 1] ^ (rng.random(n) < 0.1)
    alike, correlations, alone = bits_file._likeness(Codes.pack(rows))
    for bit in range(8):
        size = {}
        for other in set(range(8)) - {bit}:
            constant = len(set(rows[:, bit])) == 1 or len(set(rows[:, other])) == 1
            size[other] = 0.0 if constant else np.corrcoef(rows[:, bit], rows[:, other])[0, 1]
        assert abs(size[alike[bit]]) == pytest.approx(max(map(abs, size.values())), abs=1e-9)
        assert correlations[bit] == pytest.approx(size[alike[bit]], abs=1e-9)
    for bit in np.flatnonzero(rows.all(0) | ~rows.any(0)):
        assert alone[bit] == 0
    assert ((alone >= 0) & (alone <= 1)).all()


def test_alone_is_the_entropy_that_the_most_alike_three_leave(texts):
    rows = texts.codes.bits
    for one in bits(texts).bits:
        others = [other for other in range(16) if other != one.bit]
        size = {o: abs(np.corrcoef(rows[:, one.bit], rows[:, o])[0, 1]) for o in others}
        best = sorted(others, key=lambda other: -round(size[other], 12))[:3]
        joint = Counter((*row[best].tolist(), row[one.bit]) for row in rows)
        given_three = Counter(tuple(row[best].tolist()) for row in rows)
        own = entropy(Counter(rows[:, one.bit].tolist()).values())
        left = entropy(joint.values()) - entropy(given_three.values())
        assert one.alone == pytest.approx(min(max(left / own, 0), 1))
        assert one.ones == pytest.approx(rows[:, one.bit].mean())


@pytest.mark.parametrize(
    ("last", "alone"),
    [
        (lambda rows: rows[:, 0], 0.0),
        (lambda rows: ~rows[:, 0], 0.0),
        (lambda rows: rows[:, :3].sum(axis=1) >= 2, 0.0),
        (lambda rows: np.random.default_rng(1).random(len(rows)) < 0.5, 1.0),
        (lambda rows: np.ones(len(rows), bool), 0.0),
    ],
    ids=["a copy", "the opposite", "what three others decide", "independent", "always 1"],
)
def test_what_a_bit_tells_alone_in_plain_cases(last, alone):
    rows = np.random.default_rng(0).random((20_000, 8)) < 0.5
    rows[:, 7] = last(rows)
    assert bits_file._likeness(Codes.pack(rows))[2][7] == pytest.approx(alone, abs=0.01)


def test_what_turns_a_bit_is_the_mean_of_leaving_out(any_kind, monkeypatch):
    """By the public coder's logits, over all items."""
    collection, items = any_kind
    monkeypatch.setattr(turning_file, "CONVOLVED", 36 * 12)
    monkeypatch.setattr(turning_file, "_FEWEST", 12)
    coder, featurizer = collection.coder, collection.coder.featurizer
    told = bits(collection)
    step = np.linspace(0, len(items) - 1, told.n_left_out).astype(int)
    sample = [items[one] for one in collection.ids(step)]
    rows = coder.features([coder.prepare(one.payload) for one in sample])[0]
    logits = coder.encoder.logits(rows)
    spread = logits.std(axis=0)
    sums, counts = defaultdict(float), Counter()
    bit = int(np.argmax(spread))
    for i, one in enumerate(sample):
        features = coder.features([coder.prepare(one.payload)])[0]
        left = featurizer.left_out(coder.prepare(one.payload), features, 10_000)
        without = coder.encoder.logits(left.features)
        for j, part in enumerate(left.parts):
            moved = logits[i, bit] - without[j, bit]
            value = logits[i, bit] > 0
            sums[str(part).lower(), value] += float(moved / spread[bit] * left.signs[j])
            counts[str(part).lower(), value] += 1
    for turning, value, sign in (
        (told.bits[bit].for_one, True, 1),
        (told.bits[bit].for_zero, False, -1),
    ):
        expected = {
            key[0]: sign * total / (counts[key] + 5)
            for key, total in sums.items()
            if key[1] == value
        }
        found = {str(one.part).lower(): one.weight for one in turning}
        best = sorted((w for w in expected.values() if w > 0), reverse=True)[:10]
        assert sorted(found.values(), reverse=True) == pytest.approx(best, rel=1e-6)
        for part, weight in found.items():
            assert weight == pytest.approx(expected[part], rel=1e-6)


def test_the_surest_items_have_the_highest_and_the_lowest_logits(any_kind):
    collection, items = any_kind
    told = bits(collection)
    assert told.n_sure == told.n_items == len(items)
    assert told.note == ""
    coder = collection.coder
    ids = collection.ids()
    features = coder.features([coder.prepare(items[one].payload) for one in ids])[0]
    logits = coder.encoder.logits(features)
    certain = coder.encoder.probabilities(logits)
    for one in told.bits:
        own = logits[:, one.bit]
        for sure, best, p in (
            (one.surest_one, np.sort(own[own > 0])[::-1], certain[:, one.bit]),
            (one.surest_zero, np.sort(own[own <= 0]), 1 - certain[:, one.bit]),
        ):
            found = [ids.index(item.id) for item in sure]
            np.testing.assert_allclose(own[found], best[:10], atol=1e-12)
            np.testing.assert_allclose([item.certainty for item in sure], p[found])
            assert [item.preview for item in sure] == [
                collection.get(item.id).preview for item in sure
            ]


def test_long_codes_are_looked_at_block_by_block(texts, monkeypatch):
    whole = bits(texts)
    monkeypatch.setattr(bits_file, "_BLOCK", 5)
    for one, other in zip(bits(texts).bits, whole.bits, strict=True):
        assert one.alone == other.alone
        assert one.correlation == pytest.approx(other.correlation)
    monkeypatch.setattr(turning_file, "_CELLS", 16 * 12)
    few = bits(texts)
    assert (few.n_left_out, few.n_sure, few.n_items) == (12, 12, 40)


def test_the_words_of_the_topics_turn_bits(texts):
    words = {str(turning.part) for one in bits(texts).bits for turning in one.for_one}
    assert words & {"orbit", "planet", "rocket", "moon"}
    assert words & {"bread", "oven", "dough", "salt"}


@pytest.mark.parametrize(
    ("kind", "keep", "knows_sure", "said"),
    [
        ("text", {"store_text": False}, True, "no text is kept"),
        ("text", {"store_features": False}, True, ""),
        ("image", {}, False, "no image is kept"),
        ("vector", {}, False, "no vector is kept"),
        ("sequence", {}, True, ""),
        ("sequence", {"store_features": False}, False, "no sequence is kept"),
    ],
)
def test_what_is_not_held_is_said(tmp_path, kind, keep, knows_sure, said):
    preset = "recursive" if kind == "sequence" else "dense"
    made(tmp_path / "c", kind, preset, items_of(kind, preset), **keep)
    with Collection.open(tmp_path / "c") as collection:
        told = bits(collection)
    assert said in told.note
    assert bool(told.note) == bool(said)
    assert (told.n_sure > 0) == knows_sure
    assert (told.n_left_out > 0) == (not said)
    assert len(told.bits) == 16
    assert any(one.surest_one for one in told.bits) == knows_sure


def test_where_some_texts_are_kept_these_are_left_out(tmp_path):
    items = topic_items(60)
    path = made(tmp_path / "c", "text", "dense", items[:40], store_text=False)
    with Indexer(path, store_text=True) as indexer:
        indexer.add(items[40:])
        indexer.commit()
    with Collection.open(path) as collection:
        told = bits(collection)
        assert (told.n_left_out, told.n_sure, told.note) == (20, 60, "")
        why = explain(collection, query_id=items[0].id, item_id=items[50].id)
        assert (why.query.parts, bool(why.item.parts)) == ((), True)
        assert "no text is kept" in why.query.note


def test_without_a_model_or_a_code_there_is_nothing_to_tell(tmp_path):
    with Indexer(tmp_path / "raw", "text") as indexer:
        indexer.add([Item("a", "orbit")])
        indexer.commit()
    with Collection.open(tmp_path / "raw") as raw, pytest.raises(CollectionError, match="model"):
        bits(raw)
    path = made(tmp_path / "c", "text", "dense", items := topic_items(40))
    with Indexer(path) as indexer:
        indexer.remove([one.id for one in items])
        indexer.add([Item("odd", "xylophone zither")])
        indexer.commit()
    with Collection.open(path) as empty, pytest.raises(CollectionError, match="items with a code"):
        bits(empty)


def test_as_json_all_bits_or_one(texts):
    found = bits(texts)
    told = json.loads(json.dumps(found.to_json()))
    assert [one["bit"] for one in told["bits"]] == list(range(16))
    assert (told["n_bits"], told["n_items"]) == (16, 40)
    assert found.to_json(3)["bits"] == told["bits"][3:4]
    one = told["bits"][3]
    assert set(one) == {
        *("bit", "ones", "alone", "most_alike", "for_one", "for_zero"),
        *("surest_one", "surest_zero"),
    }
    assert set(one["for_one"][0]) == {"word", "weight"}
    assert set(one["surest_zero"][0]) == {"id", "preview", "certainty"}
    assert set(one["most_alike"]) == {"bit", "correlation"}
