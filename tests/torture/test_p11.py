"""P11: non-finite or degenerate features never become codes; training survives or says why not."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hashret import Collection, Item
from hashret.coder import Coder
from hashret.codes import Codes
from hashret.errors import PayloadError, TrainingError
from hashret.specs import VectorSpec
from hashret.workers.refusals import Refused
from indexer import Indexer
from indexer.ingest.encode import encode
from indexer.ingest.prepare import Preparer
from indexer.training import optimise, train
from tests.torture import faults
from tests.torture.bases import KINDS, items_of, make, quick
from tests.torture.scale import LONG, say

_WIDTH = 24


def poisons(kind):
    """Payloads that must not become codes."""
    if kind == "text":
        return [
            Path(__file__),
            "",
            " \n",
            "zzz qqq",
            "1",
            "\u200b",
            None,
            7,
            b"bytes",
            ["a"],
            np.zeros(3),
        ]
    if kind == "image":
        whole = np.full((8, 8, 3), 0.5)
        nan, inf = whole.copy(), whole.copy()
        nan[0, 0, 0], inf[7, 7, 2] = np.nan, np.inf
        return [
            *(nan, inf, np.zeros((0, 8, 3)), np.zeros((8, 8, 5)), np.zeros(8), np.zeros((1, 1, 1, 1))),
            *(np.array([[None]]), np.zeros((8, 8), complex), None, object(), 7),
            *(Path("nowhere.png"), "nowhere.png", Path(__file__), __file__, Path("/dev/zero")),
        ]  # fmt: skip
    if kind == "sequence":
        whole = np.ones((4, 2))
        nan, inf = whole.copy(), whole.copy()
        nan[2, 1], inf[0, 0] = np.nan, np.inf
        return [
            *(nan, inf, whole * 1e300, np.ones((3, 3)), np.ones((2, 2, 2)), np.ones((0, 2))),
            *([[1, 2], [3]], [[1, None]], ["a", "b"], "a b", "", [], None, 3.0, b"ab", {}),
        ]
    one = np.ones(_WIDTH)

    def with_one(value):
        vector = one.copy()
        vector[_WIDTH // 2] = value
        return vector

    return [
        *(with_one(v) for v in (np.nan, np.inf, -np.inf, 1e39, -1e300, 1e25)),
        *(one * 0, one * 1e-30, one[:-1], np.ones(_WIDTH + 1), np.ones((2, _WIDTH)), np.ones(0)),
        *(np.array([None] * _WIDTH), np.array(["x"] * _WIDTH), "text", None, 3.0),
    ]


@pytest.fixture(scope="module")
def coders(tmp_path_factory):
    found = {}
    for kind in KINDS:
        path = make(tmp_path_factory.mktemp("p11") / kind, kind)
        with Collection.open(path) as collection:
            found[kind] = collection.coder
    return found


def encoded(
    coder: Coder, items: list[Item], preparer: Preparer
) -> tuple[Codes, list[str], dict[str, str]]:
    """The codes of items, the ids that they are of, and the class of refusal of the others."""
    results = preparer.prepare([item.payload for item in items], coder.featurizer.spec)
    pairs = list(zip(items, results, strict=True))
    refused = {item.id: r.error_class for item, r in pairs if isinstance(r, Refused)}
    ready = [(item, result) for item, result in pairs if not isinstance(result, Refused)]
    found = encode(coder, [result for _, result in ready])
    refused |= {ready[row][0].id: why.error_class for row, why in found.refused.items()}
    refused |= {ready[row][0].id: "no code" for row in found.unknown(len(ready))}
    return found.codes, [ready[row][0].id for row in found.rows], refused


def poisoned_batches(coder: Coder, kind: str, n_batches: int) -> tuple[int, int]:
    """How many batches were encoded with a poison at one place, and how often that changed them."""
    sound = items_of(kind, 12)
    bad = poisons(kind)
    with closing(Preparer(kind)) as preparer:
        clean, used, _ = encoded(coder, sound, preparer)
        wrong = 0
        for i in range(n_batches):
            place = i % (len(sound) + 1)
            poison = Item("poison", bad[i % len(bad)])
            batch = [*sound[:place], poison, *sound[place:]]
            found, ids, refused = encoded(coder, batch, preparer)
            wrong += (
                ids != used
                or not np.array_equal(found.packed, clean.packed)
                or list(refused) != ["poison"]
            )
    return n_batches, wrong


def test_no_poison_becomes_a_code_and_none_changes_its_neighbours(coders):
    counts = {kind: poisoned_batches(coders[kind], kind, 1000 if LONG else 200) for kind in KINDS}
    say("P11", f"(batches, codes from poison) {counts}")
    assert all(wrong == 0 for _, wrong in counts.values())


def far_away(coder: Coder) -> Item:
    """A vector whose length is finite in float32 and whose features are not."""
    coder.featurizer.spec = replace(coder.featurizer.spec, metric="euclidean")
    coder.featurizer._scale = np.float32(1e25)
    return Item("poison", np.full(_WIDTH, 1e17))


def test_features_that_overflow_are_refused_by_themselves(coders):
    coder = Coder.from_description(*coders["vector"].describe())
    batch = [far_away(coder)]
    with closing(Preparer("vector")) as preparer:
        found, _, refused = encoded(coder, batch, preparer)
        assert refused == {"poison": "overflow"}
        assert not len(found)


def test_the_harness_notices_features_that_are_not_looked_at(coders, monkeypatch):
    from indexer.ingest import encode

    monkeypatch.setattr(encode, "finite_rows", encode.finite_rows)
    faults.infinite_features_kept()
    coder = Coder.from_description(*coders["vector"].describe())
    with closing(Preparer("vector")) as preparer, pytest.raises(PayloadError):
        encoded(coder, [far_away(coder)], preparer)


def test_poison_at_every_place_leaves_training_as_it_is(tmp_path):
    sound = items_of("vector", 40)
    clean = _codes(tmp_path / "clean", sound)
    places = range(0, 41, 1 if LONG else 13)
    for place in places:
        bad = poisons("vector")
        poison = [Item(f"poison-{i}", p) for i, p in enumerate(bad)]
        assert _codes(tmp_path / str(place), [*sound[:place], *poison, *sound[place:]]) == clean
    say("P11", f"{len(places)} trainings with {len(bad)} poisons among the items: same codes")


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_run_refuses_every_poison_by_itself(tmp_path, kind):
    sound, refused = items_of(kind, 60), []
    poison = [Item(f"poison-{i}", p) for i, p in enumerate(poisons(kind))]
    with Indexer(make(tmp_path / "c", kind), on_skipped=refused.append) as indexer:
        tally = indexer.add([*poison, *sound])
        indexer.commit()
    # a text of unknown words is stored without a code
    assert (tally.unchanged, tally.added) == (60, tally.uncoded)
    assert tally.uncoded + tally.n_skipped == len(poison)
    assert bool(tally.uncoded) == (kind == "text")
    with Collection.open(tmp_path / "c") as collection:
        without = {item.id for item in collection.items() if not item.code}
    assert without | {one.id for one in refused} == {item.id for item in poison}


def test_a_vector_out_of_all_proportion_is_not_learned_from(tmp_path):
    sound = items_of("vector", 40)
    clean = _codes(tmp_path / "clean", sound)
    for place in (0, 20, 40):
        giant = Item("giant", np.full(_WIDTH, 1e15, np.float32))
        codes = _codes(tmp_path / str(place), [*sound[:place], giant, *sound[place:]])
        assert codes.pop("giant")
        assert codes == clean


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_never_reach_a_network(value):
    features = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    for place in (0, 31, 63):
        bad = features.copy()
        bad[place, 3] = value
        with pytest.raises((TrainingError, PayloadError, ValueError), match="finite"):
            train(bad, "vector", quick("vector"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_fails_leaves_the_collection_as_it_was(tmp_path, monkeypatch, kind):
    path = make(tmp_path / "c", kind)
    before = _state(path)
    real = optimise.Descent.run

    def poisoned(self, parameters, epochs, loss_of):
        return real(self, parameters, epochs, lambda rows, done: loss_of(rows, done) * float("nan"))

    monkeypatch.setattr(optimise.Descent, "run", poisoned)
    items = items_of(kind, 60)
    with Indexer(path) as indexer, pytest.raises(TrainingError, match="finite"):
        indexer.fit(items, quick(kind, seed=1))
    assert _state(path) == before


def _codes(path, items):
    with Indexer(path, "vector") as indexer:
        indexer.fit(items, quick("vector"), spec=VectorSpec(metric="euclidean"))
        indexer.add(items)
        indexer.commit()
    with Collection.open(path) as collection:
        return {item.id: item.code for item in collection.items()}


def _state(path):
    with Collection.open(path) as collection:
        shown = [(item.id, item.code, item.metadata) for item in collection.items()]
        files = sorted(p.relative_to(path) for p in path.rglob("*") if p.parent.name != path.name)
        return collection.commit, shown, files
