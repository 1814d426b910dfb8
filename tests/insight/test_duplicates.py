"""Copies in whole collections: same content, keep rules, conditions, the command, its page."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection, Item
from hashret.cli import duplicates_page
from hashret.errors import CollectionError, InputError, WhereError
from hashret.insight.duplicates import duplicates
from hashret.specs import VectorSpec
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import clustered_vectors, topic_items

OPTIONS = TrainingOptions(n_bits=16, epochs=1, device="cpu")
HOSTILE = '<script>alert("1")</script>&\n\x1b[31m'
UNKNOWN = "xylophone zither bassoon oboe"


def filled(path, kind, items, n_learned):
    with Indexer(path, kind) as indexer:
        indexer.fit(items[:n_learned], OPTIONS)
        indexer.add(items)
        indexer.commit()
    return path


def text_items():
    items = topic_items(60)
    long = " ".join(one.payload for one in items[:3])
    return [
        *items,
        Item("a/first", long, {"size": 10, "modified": "2024-01-01T00:00:00Z"}),
        Item("b/longer", long + " and some more", {"size": 20, "modified": "2024-03-01T00:00:00Z"}),
        Item("c/newest", long, {"size": 30, "modified": "2024-05-01T00:00:00Z"}),
        Item("uncoded-1", UNKNOWN, {"year": 1}),
        Item("uncoded-2", UNKNOWN, {"year": 2}),
        Item("uncoded-3", "marimba timpani celesta lute", {}),
        Item(HOSTILE, items[5].payload + " then", {"modified": "<b>", "size": "<i>"}),
    ]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("texts") / "c", "text", text_items(), 60)


@pytest.fixture(scope="module")
def texts(path):
    with Collection.open(path) as collection:
        yield collection


def ids(found):
    return [[one.id for one in group] for group in found]


def test_copies_of_texts_with_and_without_a_code(texts):
    found = duplicates(texts)
    # the copies of a/first have the same text, b/longer nearly; the uncoded ones the same text
    assert sorted(map(sorted, ids(found))) == [
        sorted([HOSTILE, "kitchen-005"]),
        ["a/first", "b/longer", "c/newest"],
        ["uncoded-1", "uncoded-2"],
    ]
    by_id = {one.id: one for group in found for one in group}
    assert by_id["uncoded-2"].distance == -1
    assert by_id["uncoded-2"].similarity == 1.0
    assert 0.5 < by_id["a/first"].similarity < 1.0
    assert by_id["a/first"].text == texts.get("a/first").text
    assert (found.n_items, found.n_copies, found.radius, found.note) == (67, 4, None, "")
    # of one item neither the size nor the text tells the bytes
    sizes = {"a/first": 10, "c/newest": 30, "uncoded-2": len(UNKNOWN)}
    kept = {group[0] for group in ids(found)}
    other = "kitchen-005" if HOSTILE in kept else HOSTILE
    assert found.freed == sum(sizes.values()) + len(texts.get(other).text)


@pytest.mark.parametrize(
    ("keep", "kept"), [("largest", "b/longer"), ("first", "a/first"), ("newest", "c/newest")]
)
def test_which_one_is_kept(texts, keep, kept):
    groups = ids(duplicates(texts, keep=keep, where="id.contains('/')"))
    assert [(group[0], len(group)) for group in groups] == [(kept, 3)]


def test_a_condition_selects_what_is_compared(texts):
    assert ids(duplicates(texts, where="id in ('a/first', 'uncoded-1')")) == []
    found = duplicates(texts, where="id == 'nothing'")
    assert (ids(found), found.n_items, found.freed) == ([], 0, 0)
    with pytest.raises(WhereError):
        duplicates(texts, where="id ==")


def test_a_radius_bounds_what_is_compared(texts):
    for radius in (0, 1, 16):
        for group in duplicates(texts, radius=radius, where="id.contains('/')"):
            apart = {one.id: one.distance for one in group}
            assert min(apart.values()) <= radius
    same = duplicates(texts, radius=0, keep="first", where="id in ('a/first', 'c/newest')")
    assert ids(same) == [["a/first", "c/newest"]]


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"keep": "smallest"}, ValueError),
        ({"radius": -1}, ValueError),
        ({"radius": 1.5}, TypeError),
        ({"mirrored": 1}, TypeError),
        ({"mirrored": True}, CollectionError),
        ({"rotated": True}, CollectionError),
    ],
)
def test_misuse(texts, how, error):
    with pytest.raises(error):
        duplicates(texts, **how)


def test_an_empty_collection_has_none(tmp_path):
    filled(tmp_path / "c", "text", topic_items(20), 20)
    with Indexer(tmp_path / "c") as indexer:
        indexer.remove([item.id for item in topic_items(20)])
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        assert ids(duplicates(collection)) == []
        assert ids(duplicates(collection, radius=3)) == []


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_vectors(tmp_path, metric):
    vectors = np.random.default_rng(0).normal(size=(60, 24)).astype(np.float32)
    near = vectors[7] + np.float32(0.001)
    items = [Item(str(i), one, {"n": i}) for i, one in enumerate([*vectors, vectors[3], near])]
    items.append(Item("twice", 2 * vectors[9]))
    with Indexer(tmp_path / "c", "vector", store_features=True) as indexer:
        indexer.fit(items, OPTIONS, spec=VectorSpec(vectors.shape[1], metric=metric))
        indexer.add(items)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        found = sorted(map(sorted, ids(duplicates(collection))))
        assert found == [["3", "60"], ["61", "7"], *([["9", "twice"]] * (metric == "cosine"))]


def test_without_texts_or_features_only_what_is_the_same_with_its_metadata(tmp_path):
    vectors = clustered_vectors(40)
    items = [Item(str(i), one) for i, one in enumerate([*vectors, vectors[3]])]
    items.append(Item("other metadata", vectors[3], {"a": 1}))
    filled(tmp_path / "c", "vector", items, 40)
    with Collection.open(tmp_path / "c") as collection:
        found = duplicates(collection)
        assert ids(found) == [["3", "40"]]
        assert "--store-features" in found.note


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    rng = np.random.default_rng(0)
    # smooth pictures: a few cells, each 4 x 4 pixels
    cells = rng.integers(0, 200, (60, 8, 8, 1))
    pictures = np.repeat(np.repeat(cells, 4, 1), 4, 2).repeat(3, 3).astype(np.uint8)
    one = pictures[5]
    changed = {
        "same": one,
        "noisy": np.clip(one + rng.integers(-3, 4, one.shape), 0, 255).astype(np.uint8),
        "brighter": (one * 1.2).astype(np.uint8),
        "mirrored": np.flip(one, 1),
        "quarter": np.rot90(one, 1),
        "three quarters": np.rot90(one, 3),
        "half": np.rot90(one, 2),
    }
    items = [Item(str(i), each) for i, each in enumerate(pictures)]
    items += [Item(name, np.ascontiguousarray(each), {"a": 1}) for name, each in changed.items()]
    path = filled(tmp_path_factory.mktemp("images") / "c", "image", items, 60)
    with Collection.open(path) as collection:
        yield collection


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, {"same", "noisy", "brighter"}),
        ({"mirrored": True}, {"same", "noisy", "brighter", "mirrored"}),
        ({"rotated": True}, {"same", "noisy", "brighter", "quarter", "three quarters", "half"}),
    ],
)
def test_pictures_also_mirrored_and_turned(pictures, how, expected):
    found = duplicates(pictures, keep="first", **how)
    (group,) = [group for group in ids(found) if "5" in group]
    assert group[0] == "5"
    assert set(group[1:]) == expected
    # pictures that were made at random are no copies of one another
    assert all(not set(group) & {str(i) for i in range(60) if i != 5} for group in ids(found))


def run(*arguments):
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_the_command_lists_and_counts(path):
    done = run("duplicates", path, "--keep", "first")
    assert done.exit_code == 0
    assert "keep               a/first\n" in done.stdout
    assert re.search(r"copy +\d+  1.000  c/newest\n", done.stdout)
    assert "3 groups of copies of 67 items; 4 items not to be kept" in done.stderr
    assert "\x1b" not in done.stdout
    groups = [json.loads(line) for line in run("duplicates", path, "--json").stdout.splitlines()]
    assert {group["keep"] for group in groups} >= {"b/longer", "uncoded-1"}
    assert set(groups[0]["items"][0]) == {"id", "distance", "similarity", "metadata", "preview"}


def test_what_is_listed_can_be_removed(path, tmp_path):
    shutil.copytree(path, tmp_path / "c")
    listed = run("duplicates", tmp_path / "c", "--list", "--where", "year is null")
    gone = listed.stdout.splitlines()
    assert sorted(gone) == ["a/first", "c/newest"]
    assert run("remove", tmp_path / "c", "--", *gone).exit_code == 0
    again = run("duplicates", tmp_path / "c", "--list", "--where", "year is null")
    assert (again.exit_code, again.stdout) == (0, "")


def test_no_item_and_wrong_usage(path):
    done = run("duplicates", path, "--where", "year == 17")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no item satisfies the condition" in done.stderr
    assert run("duplicates", path, "--json", "--list").exit_code == 2
    assert run("duplicates", path, "--radius", "-1").exit_code == 2
    assert run("duplicates", path, "--mirrored").exit_code == 1


def test_the_page_escapes_what_items_say(path, tmp_path, monkeypatch):
    picture = b"RIFF-picture"
    monkeypatch.setattr(Collection, "thumbnail", lambda self, one: picture, raising=False)
    page = tmp_path / "page.html"
    assert run("duplicates", path, "--html", page).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<b>" not in text
    assert "default-src &#x27;none&#x27;" in text
    assert text.count('src="data:image/webp;base64,UklGRi1waWN0dXJl"') == 7
    assert run("duplicates", path, "--html", page).exit_code == 0  # in place of a former one
    other = tmp_path / "mine.html"
    other.write_text("mine", encoding="utf-8")
    done = run("duplicates", path, "--html", other)
    assert done.exit_code == 1
    assert other.read_text(encoding="utf-8") == "mine"
    assert run("duplicates", path, "--html", path / "page.html").exit_code == 1


def test_the_page_marks_words_that_differ(texts, tmp_path):
    found = duplicates(texts, where="id.contains('/')")
    page = tmp_path / "page.html"
    duplicates_page.write_page(page, texts, found, "c")
    text = page.read_text(encoding="utf-8")
    assert "more" in text
    assert "<mark>" not in text.partition("a/first")[0]
    (marked,) = duplicates_page._marked("the <old> ship", "the new ship").split("\n")
    assert marked == "the <mark>&lt;old&gt;</mark> ship"


def test_a_page_is_written_to_no_folder(texts, tmp_path):
    with pytest.raises(InputError):
        duplicates_page.require_place_for_page(Path(tmp_path))
