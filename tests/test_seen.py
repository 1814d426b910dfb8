"""Which ids came in a run: marks on rows, and the ids that have none yet."""

import pytest

from hashret.errors import PayloadError
from hashret.store.catalog.opening import open_catalog
from hashret.store.catalog.staging import Staging
from indexer.ingest.seen import Seen
from tests.store.test_catalog import stage, with_three


@pytest.fixture
def filled(tmp_path):
    return with_three(tmp_path / "c")


def test_seen_and_unseen(filled):
    with open_catalog(filled, write=True) as catalog:
        staging = Staging(catalog)
        seen = Seen(staging.items, staging.kept_from, staging.next_row)
        assert seen.see(["a", "x", "a"]) == (set(), {"a": (0, bytes(16))})
        assert seen.see(["a", "y"]) == ({"a"}, {"a": (0, bytes(16))})
        stage(filled, staging, ["y"])
        seen.have_rows(["y"])
        assert seen.see(["y", "x"]) == ({"x", "y"}, {"y": (3, bytes(16))})
        assert (seen.unseen().tolist(), seen.unseen_kept().tolist()) == ([1, 2], [])
        staging.remove([3])
        assert seen.see(["y"]) == (set(), {})  # what was added and removed may come again
        seen.begin(staging.next_row)
        assert seen.see(["y", "a", "x"])[0] == set()
        assert seen.unseen().tolist() == [1, 2]
        with pytest.raises(PayloadError, match="Unicode"):
            seen.see(["\ud800"])


def test_who_adds_nothing_sees_the_same(filled):
    with open_catalog(filled) as catalog:
        seen = Seen(catalog.items_of(catalog.last_commit()))
        assert seen.see(["c", "x"]) == (set(), {"c": (2, bytes(16))})
        assert seen.see(["c", "x", "b"]) == ({"c", "x"}, {"b": (1, bytes(16)), "c": (2, bytes(16))})
        assert (seen.unseen().tolist(), seen.unseen_kept().tolist()) == ([0], [])
