"""What a part carries is what changes if the payload is encoded without it, by the public coder."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import Codes, Collection, Item
from hashret.codes import hamming
from hashret.errors import CollectionError, InputError, UnknownItemError
from hashret.features.left_out import Place, Steps, Word
from hashret.insight.explain import explain
from indexer import Indexer
from tests.corpora import topic_items
from tests.insight.conftest import items_of, made


def without(coder, payload, part):
    """The payload without the part, made in the most direct way."""
    if isinstance(part, Steps):
        return np.delete(payload, slice(part.first, part.last + 1), axis=0)
    if isinstance(part, Word) and isinstance(payload, list):
        return [token for token in payload if token != part.word]
    if isinstance(part, Word):
        pattern = rf"(?<!\w){re.escape(part.word)}(?!\w)"
        return re.sub(pattern, " ", payload, flags=re.IGNORECASE).strip() or "zyzzyva"
    if isinstance(part, Place):
        return painted(payload, part)
    left = payload.copy()
    if coder.featurizer.spec.packed:
        left[part.number // 8] ^= 1 << part.number % 8
    else:
        left[part.number] = coder.featurizer.tensors()["mean"][part.number]
    return left


def painted(picture, place):
    """The picture with the place in the mean of the pixels that touch it, one by one."""
    height, width = picture.shape
    top, left = round(place.y * height), round(place.x * width)
    bottom, right = top + round(place.height * height), left + round(place.width * width)
    beside = [
        int(picture[y, x])
        for y in range(max(top - 1, 0), min(bottom + 1, height))
        for x in range(max(left - 1, 0), min(right + 1, width))
        if not (top <= y < bottom and left <= x < right)
    ]
    found = picture.copy()
    found[top:bottom, left:right] = np.rint(sum(beside) / len(beside))
    return found


def require_true(coder, payload, side, other):
    """Each part of a side has the effect that encoding the payload without it has."""
    base = coder.encode([payload])
    assert side.code == base.codes.hex(0)
    before = int(hamming(base.codes, other)[0, 0])
    lefts = coder.encode([without(coder, payload, one.part) for one in side.parts])
    assert len(side.parts) == side.n_parts > 0
    for i, one in enumerate(side.parts):
        if not lefts.known[i]:
            assert one.bits == tuple(range(other.n_bits))
            assert one.effect == other.n_bits - before
            continue
        changed = np.flatnonzero(lefts.codes.bits[i] != base.codes.bits[0])
        assert one.bits == tuple(changed.tolist()), one.part
        assert one.effect == int(hamming(lefts.codes[i : i + 1], other)[0, 0]) - before
    effects = [one.effect for one in side.parts]
    assert effects == sorted(effects, reverse=True)


def test_each_part_of_both_sides_against_encoding_without_it(any_kind):
    collection, items = any_kind
    asked, item = list(items)[3], list(items)[11]
    found = explain(collection, payload=items[asked].payload, item_id=item)
    query, stored = (collection.codes[collection.find([one])] for one in (asked, item))
    require_true(collection.coder, items[asked].payload, found.query, stored)
    require_true(collection.coder, items[item].payload, found.item, query)
    assert found.item.id == item
    assert set(found.agree) | set(found.differ) == set(range(collection.n_bits))
    assert (stored.bits == query.bits)[0, list(found.agree)].all()
    assert found.distance == len(found.differ) == int(hamming(query, stored)[0, 0])
    by_id = explain(collection, query_id=asked, item_id=item)
    assert by_id == found


def test_some_parts_change_bits(any_kind):
    """So that the test above is one."""
    collection, items = any_kind
    sides = [
        explain(collection, payload=one.payload, item_id=one.id).item
        for one in list(items.values())[:4]
    ]
    assert any(one.bits for side in sides for one in side.parts)
    # an item agrees with itself in all bits: nothing can bring them closer
    assert all(one.effect == len(one.bits) for side in sides for one in side.parts)


WORDS = st.sampled_from(
    [
        "ship",
        "Ship",
        "harbour",
        "bread",
        "orbit",
        "(orbit)",
        "planet,",
        "salt;moon",
        "zyzzyva",
        "the",
    ]
)


@given(words=st.lists(WORDS, min_size=1, max_size=12), k=st.integers(0, 39))
def test_each_word_of_any_text(texts, words, k):
    text, item = " ".join(words), texts.ids()[k]
    if not texts.coder.encode([text]).known[0]:
        with pytest.raises(InputError, match="no word that the collection's vocabulary knows"):
            explain(texts, payload=text, item_id=item)
        return
    found = explain(texts, payload=text, item_id=item)
    require_true(texts.coder, text, found.query, texts.codes[texts.find([item])])


def test_what_draws_together_is_the_part_of_the_certainty_that_is_lost(any_kind):
    collection, items = any_kind
    first, other = list(items)[:2]
    found = explain(collection, query_id=first, item_id=other)
    coder, payload = collection.coder, items[first].payload
    signs = np.where(Codes.from_hex(found.item.code).bits[0], 1.0, -1.0)

    def logits(payload):
        return coder.encoder.logits(coder.features([coder.prepare(payload)])[0])[0]

    own = logits(payload)
    for one in found.query.parts[:10]:
        lost = (own - logits(without(coder, payload, one.part))) @ signs / np.abs(own).sum()
        assert one.pull == pytest.approx(lost, abs=1e-9)


def test_the_only_word_is_all_of_the_code(texts):
    found = explain(texts, payload="zyzzyva orbit", item_id="space-002")
    (only,) = found.query.parts
    assert (only.part, only.effect) == (Word("orbit"), len(found.agree))
    assert only.bits == tuple(range(16))


def test_a_code_has_no_parts_and_the_item_has(texts):
    code = texts.codes[texts.find(["sea-000"])]
    found = explain(texts, code=code, item_id="sea-004")
    assert (found.query.parts, found.query.note) == ((), "a code alone has no parts")
    assert found.item.parts
    assert found.parts == "words"
    assert found.item == explain(texts, query_id="sea-000", item_id="sea-004").item


def test_what_is_usual_is_the_mean_over_the_collection(texts):
    found = explain(texts, payload="orbit of a planet", item_id="space-002")
    code = texts.coder.encode(["orbit of a planet"]).codes
    assert found.usual == round(16 - hamming(code, texts.codes).mean())


def test_of_a_long_text_the_words_that_weigh_most(texts):
    text = " ".join(one.payload for one in topic_items(40))
    everything = explain(texts, payload=text, item_id="sea-000").query
    some = explain(texts, payload=text, item_id="sea-000", most=5).query
    assert everything.n_parts == len(everything.parts) == some.n_parts > 30
    assert len(some.parts) == 5
    assert set(some.parts) <= set(everything.parts)
    coder = texts.coder
    weights = coder.features([text])[0].to_dense()[0]
    heaviest = np.sort(weights)[-5:]
    place = coder.featurizer.vocabulary.index
    told = sorted(weights[place(one.part.word)] for one in some.parts)
    np.testing.assert_allclose(told, heaviest)


@pytest.mark.parametrize(
    ("kind", "preset", "said"),
    [
        ("text", "dense", "no text is kept; index the source again with --retrain --store-text"),
        (
            "image",
            "dense",
            "no image is kept; index the source again with --retrain --store-images",
        ),
        (
            "vector",
            "dense",
            "no vector is kept; index the source again with --retrain --store-features",
        ),
    ],
)
def test_where_the_item_is_not_kept_its_bits_and_the_query_are_told(tmp_path, kind, preset, said):
    items = items_of(kind, preset)
    keep = {"text": {"store_text": False}}.get(kind, {})
    made(tmp_path / "c", kind, preset, items, **keep)
    with Collection.open(tmp_path / "c") as collection:
        found = explain(collection, payload=items[0].payload, item_id=items[1].id)
        assert found.query.parts
        assert (found.item.parts, found.item.n_parts) == ((), 0)
        assert said in found.item.note
        assert said in explain(collection, query_id=items[0].id, item_id=items[1].id).query.note
        beside = {"item_id": items[1].id, "payload": items[0].payload}
        whole = explain(collection, **beside, item_payload=items[1].payload)
        assert whole.item.parts
        assert (whole.query, whole.agree) == (found.query, found.agree)
        far = max(
            items,
            key=lambda one: len(explain(collection, query_id=one.id, item_id=items[1].id).differ),
        )
        with pytest.raises(InputError, match="bits of its code are others"):
            explain(collection, **beside, item_payload=far.payload)


def test_what_is_wrong_is_said(texts, tmp_path):
    with pytest.raises(UnknownItemError, match="'nobody'"):
        explain(texts, payload="orbit", item_id="nobody")
    with pytest.raises(UnknownItemError, match="'nobody'"):
        explain(texts, query_id="nobody", item_id="sea-000")
    with pytest.raises(ValueError, match="exactly one"):
        explain(texts, item_id="sea-000")
    with pytest.raises(ValueError, match="exactly one"):
        explain(texts, payload="orbit", query_id="sea-000", item_id="sea-000")
    with pytest.raises(ValueError, match="16 bits"):
        explain(texts, code=Codes.empty(32), item_id="sea-000")
    with pytest.raises(InputError, match="text"):
        explain(texts, payload=3, item_id="sea-000")
    with Indexer(tmp_path / "raw", "text") as indexer:
        indexer.add([Item("a", "orbit")])
        indexer.commit()
    with Collection.open(tmp_path / "raw") as raw, pytest.raises(CollectionError, match="model"):
        explain(raw, payload="orbit", item_id="a")


def test_an_item_without_a_code_is_said_to_be_one(tmp_path):
    path = made(tmp_path / "c", "text", "dense", topic_items(40))
    with Indexer(path) as indexer:
        indexer.add([Item("odd", "xylophone zither")])
        indexer.commit()
    with Collection.open(path) as collection:
        with pytest.raises(InputError, match="expected an item with a code, got 'odd'"):
            explain(collection, payload="orbit", item_id="odd")
        with pytest.raises(InputError, match="expected an item with a code, got 'odd'"):
            explain(collection, query_id="odd", item_id="sea-000")


def test_as_json_it_is_all_there(texts):
    found = explain(texts, payload="orbit <b>planet</b>", item_id="space-002")
    told = json.loads(json.dumps(found.to_json()))
    assert told["parts"] == "words"
    assert [one["word"] for one in told["query"]["parts"]] == [
        one.part.word for one in found.query.parts
    ]
    assert set(told["query"]["parts"][0]) == {"word", "bits", "effect", "pull"}
    assert (told["n_bits"], told["distance"], told["differ"]) == (
        16,
        found.distance,
        list(found.differ),
    )
    assert "id" not in told["query"]
    assert told["item"]["id"] == "space-002"
