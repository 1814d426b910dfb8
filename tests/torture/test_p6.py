"""P6: opening a collection from a stranger runs no code, in bounded memory and time."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hashret.workers.pool import Limits, Workers
from hashret.workers.refusals import Refused
from tests.torture.bases import KINDS, make
from tests.torture.scale import LONG, say
from tests.torture.strangers import Store, hostile_stores

# Arrow's own allocator reserves a gigabyte of addresses, which is all that a worker may have.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
LIMITS = Limits(memory_bytes=1 << 30, seconds=10.0)
IMPATIENT = Limits(memory_bytes=1 << 30, seconds=1.0)
_BATCH = 20


@pytest.fixture(scope="session")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    for kind in KINDS:
        make(folder / kind, kind)
    os.environ["HASHRET_SOUND"] = str(folder)
    return folder


def test_no_hostile_store_runs_code_or_takes_more_than_its_share(sound, tmp_path):
    stores = list(hostile_stores())
    every = 1 if LONG else 10
    outcomes, bad = Counter(), []
    for at, kind in enumerate(KINDS if LONG else ["vector"]):
        found = attack(sound, tmp_path / kind, kind, stores[at % every :: every])
        outcomes.update(outcome.split(":")[0] for outcome, _ in found.values())
        bad += [(kind, name, *rest) for name, rest in found.items() if is_bad(*rest)]
    say("P6", f"{outcomes.total()} hostile stores, {len(bad)} bad: {dict(outcomes)}")
    assert not bad
    assert outcomes.total() >= (300 if LONG else 75)
    assert outcomes["DamagedError"] > outcomes.total() / 3


@pytest.mark.parametrize("verb", ["repair", "compact", "index"])
def test_what_writes_a_hostile_store_touches_nothing_outside(sound, tmp_path, verb):
    planted = [one for one in hostile_stores() if one[0].startswith("planted")]
    others = [one for one in hostile_stores() if not one[0].startswith("planted")]
    stores = planted[:: 1 if LONG else 11] + others[:: 1 if LONG else 211]
    found = attack(sound, tmp_path, "vector", stores, verbs=[verb])
    assert not [(name, *rest) for name, rest in found.items() if is_bad(*rest)]
    outcomes = [outcome for name, (outcome, _) in found.items() if name.startswith("planted")]
    assert outcomes.count("opened") > len(planted) / 40, "most of them are in nobody's way"


def test_the_harness_notices_a_repair_that_follows_links(sound, tmp_path):
    stores = [one for one in hostile_stores() if one[0].startswith("planted: link at damaged/")]
    found = attack(sound, tmp_path, "vector", stores, "moves_follow_links", verbs=["repair"])
    assert any(is_bad(*rest) for rest in found.values())


# the turns from 776 and from 2625 on once had an error that was no damage
@pytest.mark.parametrize(("first", "count"), [(0, 20_000)] if LONG else [(300, 600), (2600, 50)])
def test_no_changed_file_of_columns_ends_the_process(tmp_path, first, count):
    """Bytes of records and texts changed and signed anew, read in every way: pyarrow may abort."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.arrow_fuzz", tmp_path, str(first), str(count)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    turns = done.stdout.split("\n")
    assert done.returncode == 0, f"after {turns[-2:]}: {done.stderr[-1000:]}"
    assert not [line for line in turns if line.startswith("[")]
    say("P6", f"{count} changed files of columns, 0 crashes")


def is_bad(outcome, did):
    """A user meets an answer or an error; nothing ran, nothing outside was touched."""
    return bool(did) or outcome.startswith("refused")


def attack(sound, folder, kind, stores, fault="", limits=LIMITS, verbs=("read", "write")):
    """What became of each hostile store, by each of the verbs: read, opened by a writer, ..."""
    found = {}
    with Workers("tests.torture.opening:opens", args=[fault], limits=limits) as workers:
        for start in range(0, len(stores), _BATCH):
            batch = [spoil(sound / kind, folder, change) for _, change in stores[start:][:_BATCH]]
            asked = [[str(store.root), kind, verb] for store in batch for verb in verbs]
            before = [_state(store) for store in batch]
            (results,) = workers.map([asked])
            for i, (name, _) in enumerate(stores[start:][:_BATCH]):
                outcome, did = _joined(results[len(verbs) * i :][: len(verbs)])
                if batch[i].canary.exists():
                    did.append("ran its code")
                if _state(batch[i]) != before[i]:
                    did.append("changed what is outside")
                found[name] = outcome, did
            shutil.rmtree(folder)
    return found


def spoil(sound, folder, change):
    place = folder / str(len(list(folder.iterdir())) if folder.exists() else 0)
    store = Store(place / "store", place / "outside", place / "canary")
    store.outside.mkdir(parents=True)
    (store.outside / "bystander.txt").write_text("precious")
    shutil.copytree(sound, store.root)
    change(store)
    return store


def _joined(results):
    said, did = [], []
    for result in results:
        if isinstance(result, Refused):
            said.append(f"refused: {result.error_class} {result.reason}")
        else:
            said.append(result[0])
            did += result[1]
    bad = [one for one in said if one.startswith("refused")]
    if said[0] == "answered" and said[1:] not in ([], ["opened"]):
        said[0] = f"answered: but a writer met {said[1]}"
    return (bad or said)[0], did


def _state(store):
    return sorted(
        (str(p), p.lstat().st_mode, p.read_bytes() if p.is_file() and not p.is_symlink() else b"")
        for p in store.outside.rglob("*")
    )


def test_the_sound_stores_answer(sound, tmp_path):
    def nothing(store):
        pass

    for kind in KINDS if LONG else ["vector"]:
        found = attack(sound, tmp_path / kind, kind, [("nothing", nothing)])
        assert found == {"nothing": ("answered", [])}


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("text", "expected a model of text items, got one of vector items"),
        ("other", "expected one of text, image, vector, sequence, got 'other'"),
    ],
)
def test_a_catalog_that_names_another_kind_than_its_model_is_damaged(sound, tmp_path, kind, says):
    stores = [one for one in hostile_stores() if one[0] == f"values: kind = {kind!r}"]
    ((outcome, did),) = attack(sound, tmp_path, "vector", stores).values()
    assert outcome.startswith("DamagedError")
    assert says in outcome
    assert not did


FAULTS = {
    "names_unchecked": "names: segment '../../outside",
    "links_followed": "links: segments is a link",
    "journals_trusted": "naming a file to delete",
    "schema_believed": "schemas: endless view meta",
    "arrays_unpickled": "pickles: object array as segment, True",
    "values_untyped": 'values: models.files = {"model.json": 1}',
}


def test_the_stores_of_the_planted_faults_do_no_harm_without_them(sound, tmp_path):
    stores = [one for one in hostile_stores() if any(part in one[0] for part in FAULTS.values())]
    found = attack(sound, tmp_path, "vector", stores)
    assert not any(is_bad(*rest) for rest in found.values())


@pytest.mark.parametrize(("fault", "where"), FAULTS.items())
def test_the_harness_notices_a_missing_defence(sound, tmp_path, fault, where):
    stores = [one for one in hostile_stores() if where in one[0]]
    assert stores
    found = attack(sound, tmp_path / "faulty", "vector", stores, fault, IMPATIENT)
    assert any(is_bad(*rest) for rest in found.values())
