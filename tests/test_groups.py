"""Of each group only the best item is a hit: compared with all hits, of which the others are left out."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hashret import Collection, Item
from hashret.codes import Codes
from hashret.search import grouped, groups
from hashret.search.snippets import place_of
from indexer import Indexer
from indexer.cli import main
from tests.corpora import topic_items
from tests.shortlist import by_score
from tests.torture.bases import items_of, quick

N = 60
#: Values of the field by which items are grouped; None: an item without it.
VALUES = [None, None, "a", "b", "c", 1, 1.0, True, "1", ["a"], ["a"], {"x": 1, "y": 2}]


@pytest.fixture(autouse=True)
def little_at_first():
    """Few items are searched for at first, so that most questions are asked several times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped, "_FIRST", 1)
        patch.setattr(grouped, "MORE", 2)
        yield


def filled(path, kind, items):
    with Indexer(path, kind, store_features=True) as indexer:
        indexer.fit(items, quick(kind))
        for half in (items[: N // 2], items[N // 2 :]):
            indexer.add(half)
            indexer.commit()
        indexer.remove(items[3].id)
        indexer.commit()
    return path


def grouping(items):
    """The items with a field "group", which some lack as "FEW", and "few", of three values."""
    rng = np.random.default_rng(0)
    found = []
    for i, item in enumerate(items):
        value = VALUES[rng.integers(len(VALUES))]
        told = {"few": "xyz"[min(i % 7, 2)]} | ({"FEW": i % 5} if i % 3 else {})  # has no column
        told |= {} if value is None else {"group": value}
        found.append(Item(item.id, item.payload, {**item.metadata, **told}))
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "c"
    with Collection.open(filled(path, "text", grouping(topic_items(N)))) as collection:
        yield collection


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "c"
    with Collection.open(filled(path, "image", grouping(items_of("image", N)))) as collection:
        yield collection


def key(hit, field):
    value = hit.metadata.get(field)
    if value is None:
        return "alone", hit.id
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if number else type(value).__name__, json.dumps(
        float(value) if number else value
    )


def first_of_each(hits, field, k=None):
    best = {}
    for hit in hits:
        best.setdefault(key(hit, field), hit)
    return list(best.values())[:k]


FIELDS = st.sampled_from(["group", "few", "FEW", "topic", "nowhere"])
WHERES = st.sampled_from([None, "year < 2010", "topic == 'sea'", "year < 0"])


@settings(max_examples=60)
@given(st.integers(0, N - 1), st.integers(1, N + 5), FIELDS, WHERES, st.booleans())
def test_hits_are_the_first_of_each_group_among_all(texts, i, k, field, where, asymmetric):
    item = topic_items(N)[i]
    how = {"where": where, "asymmetric": asymmetric}
    every = texts.query(item.payload, k=N, **how)
    found = texts.query(item.payload, k=k, group=field, **how)
    assert list(found) == first_of_each(every, field, k)


@settings(max_examples=30)
@given(st.integers(0, N - 1), st.integers(0, 32), FIELDS, WHERES)
def test_within_a_radius(texts, i, radius, field, where):
    text = topic_items(N)[i].payload
    every = texts.within(text, radius, where=where)
    assert list(texts.within(text, radius, where=where, group=field)) == first_of_each(every, field)


@settings(max_examples=30)
@given(st.integers(0, N - 1), st.integers(1, 20), FIELDS, st.booleans())
def test_similar_items_of_each_group(texts, i, k, field, include_self):
    item = topic_items(N)[i]
    if item.id not in texts:
        return
    every = texts.similar(item.id, k=N, include_self=include_self)
    found = texts.similar(item.id, k=k, group=field, include_self=include_self)
    assert list(found) == first_of_each(every, field, k)


@settings(max_examples=30)
@given(st.integers(0, N - 1), st.integers(1, 12), st.integers(0, 30), FIELDS)
def test_a_shortlist_is_as_long_as_its_groups_need(texts, i, k, more, field):
    text = topic_items(N)[i].payload
    every = list(texts.query(text, k=N, rerank=0))
    groups = {key(hit, field) for hit in every}
    rerank = k + more
    depth = 3 * rerank
    while len({key(hit, field) for hit in by_score(every, depth)}) < min(k, len(groups)):
        depth *= 4
    seen, needed = set(), 0
    near = by_score(every, depth)
    for at, hit in enumerate(near, start=1):
        if len(seen) < k and key(hit, field) not in seen:  # there may be fewer than k groups
            seen.add(key(hit, field))
            needed = at
    shortlist = {hit.id for hit in near[: max(rerank, needed)]}
    for by in ("words", "features"):
        in_order = texts.query(text, k=N, rerank=N, rerank_by=by)
        found = [hit for hit in in_order if hit.id in shortlist]
        grouped_hits = texts.query(text, k=k, rerank=rerank, rerank_by=by, group=field)
        assert list(grouped_hits) == first_of_each(found, field, k)


@pytest.mark.parametrize("field", ["group", "few"])
def test_copies_of_an_image_come_first_in_their_groups(images, field):
    pixels = np.asarray(items_of("image", N)[5].payload)
    picture = Image.fromarray(pixels)
    every = images.query(picture, k=N)
    assert list(images.query(picture, k=4, group=field)) == first_of_each(every, field, 4)


def test_many_queries_at_once_as_one_by_one(texts, monkeypatch):
    monkeypatch.setattr(groups, "_FOUND", 40)  # so that they are parted
    several = [item.payload for item in topic_items(N)[:9]]
    together = texts.query([*several, "zzzz"], k=3, group="few")
    assert not together.pop()
    one_by_one = [texts.query(one, k=3, group="few") for one in several]
    assert list(map(list, together)) == list(map(list, one_by_one))
    codes = Codes(texts.codes.packed[:4])
    by_code = texts.query(codes, k=3, group="few")
    assert [len(hits) for hits in by_code] == [3] * 4


def test_no_more_is_searched_than_there_are_groups(texts, monkeypatch):
    asked = []
    search = type(texts.index).search

    def noted(self, codes, k, **how):
        asked.append(k)
        return search(self, codes, k, **how)

    monkeypatch.setattr(type(texts.index), "search", noted)
    assert len(texts.query(topic_items(1)[0].payload, k=10, group="topic")) == 4
    assert max(asked) <= 4 * 40


def test_a_group_must_be_a_name(texts):
    with pytest.raises(TypeError, match="group: expected"):
        texts.query("ship", group=3)


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_on_the_command_line(texts, tmp_path):
    place = texts.snapshot.layout.root
    batch = tmp_path / "batch.jsonl"
    batch.write_text('{"text": "ship and sail"}\n')
    asked = ["ship and sail", "--group", "topic", "--json", "-k", "3"]
    lines = [json.loads(line) for line in run("query", place, *asked).stdout.splitlines()]
    assert len({line["metadata"]["topic"] for line in lines}) == len(lines) == 3
    answer = json.loads(run("query", place, "--batch", batch, "--group", "topic", "-k", 3).stdout)
    beside = "by", "snippet"
    assert answer["hits"] == [{k: v for k, v in x.items() if k not in beside} for x in lines]
    done = run("similar", place, "sea-000", "--group", "topic", "--json")
    assert len(done.stdout.splitlines()) == 4
    assert (
        "no item has a field 'nowhere'" in run("query", place, "ship", "--group", "nowhere").stderr
    )


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"passage": 1, "page": 12, "section": "Installing"}, "[p. 12, Installing] "),
        ({"passage": 1, "page": 12}, "[p. 12] "),
        ({"passage": 1, "section": "x" * 60}, f"[{'x' * 39}…] "),
        ({"passage": 1}, ""),
        ({"page": 12}, ""),
    ],
)
def test_where_a_passage_is_from(metadata, shown):
    assert place_of(metadata) == shown
