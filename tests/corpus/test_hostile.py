import signal
from collections import Counter

import pytest

from hashret.items import Item
from indexer import corpus
from indexer.corpus import ERROR_CLASSES, Skipped
from tests.corpus import hostile


@pytest.fixture(autouse=True)
def _no_hanging():
    def hung(*_):
        raise TimeoutError("the corpus hangs")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def without_facts(item):
    """The metadata but for what the file system tells of every file, which must be there."""
    facts = {name: item.metadata[name] for name in ("folder", "size", "modified")}
    assert facts["folder"] == item.id.rpartition("/")[0]
    assert facts["size"] > 0
    assert facts["modified"].endswith("Z")
    return {name: value for name, value in item.metadata.items() if name not in facts}


def test_every_hostile_entry_is_reported_and_every_good_one_read(tmp_path):
    truth = hostile.build(tmp_path / "source", copies=8)
    found = list(corpus.read([tmp_path / "source"], "text"))
    items = {x.id: (x.payload, without_facts(x)) for x in found if isinstance(x, Item)}
    skipped = {x.id: x.error_class for x in found if isinstance(x, Skipped)}
    assert truth.n_classes >= 60
    assert len(truth.items) + len(truth.skipped) >= 500
    assert skipped == truth.skipped
    assert items == truth.items
    assert len(found) == len(items) + len(skipped)
    assert set(skipped.values()) <= set(ERROR_CLASSES)
    assert all(x.reason for x in found if isinstance(x, Skipped))
    assert "not for indexing" not in {text for text, _ in items.values()}


def test_the_same_folder_as_images_reads_only_images(tmp_path):
    truth = hostile.build(tmp_path / "source")
    found = list(corpus.read([tmp_path / "source"], "image"))
    items = [x for x in found if isinstance(x, Item)]
    assert [x.id for x in items] == ["copy-0/photo.jpg"]
    assert items[0].payload == tmp_path / "source" / "copy-0" / "photo.jpg"
    assert len(found) == len(truth.items) + len(truth.skipped)
    counts = Counter(x.error_class for x in found if isinstance(x, Skipped))
    assert counts["symlink"] == 7
    assert counts["not-a-regular-file"] == 3


def test_everything_in_a_stable_order(tmp_path):
    hostile.build(tmp_path / "source")
    first = [x.id for x in corpus.read([tmp_path / "source"], "text")]
    assert first == [x.id for x in corpus.read([tmp_path / "source"], "text")]
    assert len(set(first)) == len(first)


def test_a_folder_that_vanishes_or_cannot_be_listed_is_reported(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b.txt").write_text("words")
    from indexer.corpus import files

    def denied(path):
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    scandir = files.os.scandir
    monkeypatch.setattr(files.os, "scandir", denied)
    a, b = corpus.read([tmp_path], "text")
    assert (a.id, a.error_class) == ("a", "unreadable")
    assert "Permission denied" in a.reason
    assert b.id == "b.txt"
