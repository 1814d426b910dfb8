"""P12: same input and seed, same collection; same item, same code, whatever batch and threads."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hashret import Collection
from hashret.codes import hamming
from hashret.models import dense
from tests.torture.bases import KINDS, items_of, make
from tests.torture.scale import LONG, say

ROOT = Path(__file__).parents[2]
BATCHES = (1, 2, 7, 64, 1000) if LONG else (7, 1000)
PAIRS = [(b, t) for b in BATCHES for t in (1, 2)] if LONG else [(7, 1), (1000, 2)]


def run(folder, kind, batch, threads, *model):
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.torture.repeating",
            folder,
            kind,
            str(batch),
            threads,
            *model,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | limits,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS if LONG else ["vector"])
def test_the_same_input_and_seed_give_the_same_collection(tmp_path, kind):
    runs = [run(tmp_path / str(b), kind, b, "1") for b in BATCHES]
    runs += [run(tmp_path / "again", kind, 1000, "1")] if LONG else []
    assert all(one == runs[0] for one in runs)
    say("P12", f"{kind}: {len(runs)} collections made anew, all the same")


@pytest.mark.parametrize("kind", KINDS if LONG else ["text"])
def test_a_code_depends_on_neither_batch_nor_threads(tmp_path, kind):
    model = make(tmp_path / "model", kind, 60)
    found = {
        (batch, threads): run(tmp_path / f"{batch}-{threads}", kind, batch, str(threads), model)
        for batch, threads in PAIRS
    }
    first = next(iter(found.values()))
    assert all(one == first for one in found.values())
    say("P12", f"{kind}: {len(found)} pairs of batch and threads, 0 differing codes or ranks")


@pytest.mark.parametrize("kind", KINDS)
def test_ties_are_ordered_by_distance_then_score_then_id(tmp_path, kind):
    path = make(tmp_path / "c", kind)
    payloads = [item.payload for item in items_of(kind)]
    with Collection.open(path) as collection:
        ids = [item.id for item in collection.items()]
        n = len(collection)
        distances = 0
        # by codes, and as asked without a word, where copies of images come first
        for k, how in product((1, 2, 5, n - 1, n, 2 * n), ({"rerank": 0}, {})):
            for payload, hits in zip(payloads, collection.query(payloads, k=k, **how), strict=True):
                keys = [(hit.distance, -hit.score, hit.id) for hit in hits]
                if kind == "image" and not how:
                    looks = [-hit.similarity for hit in hits]
                    keys = [
                        (-1 if look <= collection.copy_distance else hit.distance, look, hit.id)
                        for look, hit in zip(looks, hits, strict=True)
                    ]
                assert keys == sorted(keys)
                again = collection.query(payload, k=k, **how)
                assert [hit.id for hit in again] == [h.id for h in hits]
                if k >= n:
                    assert sorted(hit.id for hit in hits) == ids
                whole = collection.query(payload, k=n, **how)
                assert [hit.id for hit in hits] == [hit.id for hit in whole][:k]
                distances += len(hits)
        code = collection.coder.encode(payloads).codes
        assert int(hamming(code[:1], collection.codes).min()) == 0
    say("P12", f"{kind}: {distances} hits in order")


def test_the_harness_notices_arithmetic_that_depends_on_the_batch(tmp_path, monkeypatch):
    """With floats that round, and a batch that shifts them, codes differ; the digests must."""
    from tests.torture import repeating

    path = make(tmp_path / "c", "vector")
    sound = repeating.seen(path, "vector", 7)
    assert repeating.seen(path, "vector", 60) == sound
    real = dense.DenseEncoder._inputs

    def shifted(self, values):
        return real(self, values - np.float32(0.5) * values.mean(axis=0))

    monkeypatch.setattr(dense.DenseEncoder, "_inputs", shifted)
    faulty = [repeating.seen(path, "vector", batch)["ranks"] for batch in (7, 60)]
    assert faulty[0] != faulty[1]
