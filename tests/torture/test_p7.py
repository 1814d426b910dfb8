"""P7: a bad input is skipped with its reason, all else is indexed, the counts add up."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hashret import Collection, Item
from indexer import Indexer, corpus
from indexer.corpus import ERROR_CLASSES, files
from indexer.ingest import prepare
from tests.corpora import topic_items
from tests.corpus import hostile
from tests.torture import hostile_images
from tests.torture.bases import quick
from tests.torture.scale import LONG, say


def indexed(sources, to, kind, **options):
    """The code of every item, the class of every refusal by id, and the tally."""
    refused = []
    with Indexer(to, kind, on_skipped=refused.append) as indexer:
        indexer.fit(corpus.read(sources, kind, **options), quick(kind))
        tally = indexer.add(corpus.read(sources, kind, **options))
        indexer.commit()
    with Collection.open(to) as collection:
        codes = {item.id: item.code for item in collection.items()}
    assert tally.seen == tally.added + tally.n_skipped
    assert tally.n_skipped == len(refused)
    assert tally.added == len(codes)
    assert all(one.reason and one.error_class in ERROR_CLASSES for one in refused)
    classes = {one.id: one.error_class for one in refused}
    assert len(classes) == len(refused)
    return codes, classes


def test_hostile_documents_and_tables_cost_no_good_one_its_code(tmp_path):
    truth = hostile.build(tmp_path / "folder", copies=16 if LONG else 8)
    hostile_folder = tmp_path / "folder"
    clean_folder = tmp_path / "clean"
    for item_id, (_, said) in truth.items.items():
        name = files.path_of(item_id) if said.get("id_encoding") else item_id
        (clean_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (clean_folder / name).write_bytes((hostile_folder / name).read_bytes())
    good, bad = _lines()
    mixed = [line for pair in zip(good, bad, strict=True) for line in pair]
    numbered = {f"posts.jsonl:{2 * (i + 1)}": c for i, (_, c) in enumerate(bad)}
    _write(tmp_path / "mixed" / "posts.jsonl", mixed)
    _write(tmp_path / "sound" / "posts.jsonl", good)
    sources = [hostile_folder, tmp_path / "mixed" / "posts.jsonl"]
    codes, refused = indexed(sources, tmp_path / "a", "text")
    clean = [clean_folder, tmp_path / "sound" / "posts.jsonl"]
    clean_codes, clean_refused = indexed(clean, tmp_path / "b", "text")
    assert codes == clean_codes
    assert set(clean_refused.values()) <= {"no-known-feature"}
    assert refused == truth.skipped | numbered | clean_refused
    n = len(codes) + len(refused)
    classes = truth.n_classes + len({c for _, c in bad})
    assert n >= 500
    assert classes >= 60
    counts = Counter(refused.values())
    say("P7", f"{n} texts of {classes} classes, all reported: {dict(counts)}")


def test_hostile_images_cost_no_good_one_its_code(tmp_path):
    items, truth = hostile_images.build(tmp_path / "mixed", copies=6 if LONG else 1)
    for item_id in items:
        clean = tmp_path / "clean" / item_id
        clean.parent.mkdir(parents=True, exist_ok=True)
        clean.write_bytes((tmp_path / "mixed" / item_id).read_bytes())
    codes, refused = indexed([tmp_path / "mixed"], tmp_path / "a", "image")
    assert refused == truth
    assert set(codes) == items
    assert codes == indexed([tmp_path / "clean"], tmp_path / "b", "image")[0]
    n_classes = len(hostile_images.bad())
    assert n_classes >= 40
    say("P7", f"{len(codes) + len(refused)} images of {n_classes} bad classes, all reported")


@pytest.mark.parametrize(
    ("fault", "only"), [("decoder_takes_any_format", "is-p"), ("pixels_unlimited", "whole-bomb")]
)
def test_the_harness_notices_a_decoder_without_its_flags(tmp_path, monkeypatch, fault, only):
    monkeypatch.setattr(prepare, "IMAGES", f"tests.torture.faults:images_with_{fault}")
    _, truth = hostile_images.build(tmp_path / "mixed", copies=1, only=only)
    assert truth
    assert indexed([tmp_path / "mixed"], tmp_path / "a", "image")[1] != truth


def test_hostile_vectors_cost_no_good_one_its_code(tmp_path):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 16)).astype(np.float64)
    odd = {0: np.nan, 7: np.inf, 50: -np.inf, 120: 1e300, 121: 1e30, 299: 0.0, 200: 1e-40}
    for row, value in odd.items():
        rows[row, 5 if value else slice(None)] = value
    rows[200] = 1e-40
    np.save(tmp_path / "mixed.npy", rows)
    sound = np.delete(rows, list(odd), axis=0)
    np.save(tmp_path / "sound.npy", sound)
    ids = [str(i) for i in range(300) if i not in odd]
    (tmp_path / "sound.ids.txt").write_text("\n".join(ids) + "\n")
    codes, refused = indexed([tmp_path / "mixed.npy"], tmp_path / "a", "vector")
    assert {int(i): c for i, c in refused.items()} == {
        **dict.fromkeys((0, 7, 50, 120), "not-finite"),
        121: "overflow",
        299: "zero-norm",
        200: "zero-norm",
    }
    assert codes == indexed([tmp_path / "sound.npy"], tmp_path / "b", "vector")[0]


def test_items_of_the_library_that_cannot_be_stored_cost_no_good_one_its_code(tmp_path):
    sound = topic_items(40)
    text = sound[0].payload
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    bad_ids = ["", "a\0b", "\ud800", "x" * 5000, None, 7.5, b"a"]
    bad_metadata = [{"a": float("nan")}, {"a": object()}, {"a": {1, 2}}, {"a": deep}, {"b": b"x"}]
    bad = [Item(item_id, text) for item_id in bad_ids]
    bad += [Item(f"m-{i}", text, metadata) for i, metadata in enumerate(bad_metadata)]
    bad += [Item("twice", text), Item("twice", text)]
    refused = []
    with Indexer(tmp_path / "c", "text", on_skipped=refused.append) as indexer:
        indexer.fit(sound, quick("text"))
        mixed = [x for pair in zip(sound, bad, strict=False) for x in pair] + sound[len(bad) :]
        tally = indexer.add(mixed)
        indexer.commit()
    assert tally.added == len(sound) + 1  # the first of two of the same id
    assert Counter(one.error_class for one in refused) == {
        "bad-id": len(bad_ids),
        "bad-metadata": len(bad_metadata),
        "duplicate-id": 1,
    }
    with Indexer(tmp_path / "sound", "text") as indexer:
        indexer.fit(sound, quick("text"))
        indexer.add(sound)
        indexer.commit()
    with Collection.open(tmp_path / "c") as c, Collection.open(tmp_path / "sound") as clean:
        codes = {item.id: item.code for item in c.items()}
        assert codes.pop("twice")
        assert codes == {item.id: item.code for item in clean.items()}


def _lines() -> tuple[list[bytes], list[tuple[bytes, str]]]:
    """Sound lines of a table, and as many that must be refused, with their class."""
    bad = [
        (b'{"text": "words"', "bad-json"),
        (b"[1, 2]", "bad-json"),
        (b"null", "bad-json"),
        (b'{"text": NaN}', "bad-json"),
        (b'{"text": "words", "n": 1e999}', "bad-json"),
        (b'{"text": "words", "n": ' + b"9" * 5000 + b"}", "bad-json"),
        (b'{"text": "words", "n": ' + b"[" * 200 + b"]" * 200 + b"}", "bad-json"),
        (b'{"text": "words", "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad-json"),
        (b'{"text": "\\ud800 words"}', "bad-json"),
        (b'{"text": "caf\xe9"}', "not-utf8"),
        (b'{"text": 7}', "bad-text"),
        (b'{"text": "  "}', "empty-text"),
        (b'{"body": "words"}', "missing-payload"),
        (b'{"path": "../outside/secret.txt"}', "outside-source"),
        (b'{"path": "/etc/passwd"}', "outside-source"),
        (b'{"path": "nowhere.txt"}', "missing-file"),
        (b'{"path": ["a"]}', "bad-path"),
        (b'{"id": {}, "text": "words"}', "bad-id"),
        (b'{"id": "", "text": "words"}', "bad-id"),
        (b'{"id": "a\\u0000b", "text": "words"}', "bad-id"),
        (b'{"text": "' + b"x" * (17 << 20) + b'"}', "too-large"),
    ]
    good = [
        json.dumps({"id": item.id, "text": item.payload, **item.metadata}).encode()
        for item in topic_items(len(bad))
    ]
    return good, bad


def _write(path: Path, lines) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join((x if isinstance(x, bytes) else x[0]) + b"\n" for x in lines))
