"""`hashret index --dry-run` says what the same command would do, and writes nothing."""

import json
import re
import shutil
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Item
from hashret.specs import TextSpec
from indexer import Indexer
from indexer.cli import main
from indexer.corpus import Skipped
from indexer.dry_run import Rehearsal
from indexer.training import TrainingOptions
from tests.corpora import clustered_vectors, topic_items


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Pages of a few items, so that a small source has several."""
    monkeypatch.setattr("indexer.ingest.intake.BATCH", 16)


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def ok(*arguments):
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    return done


def counts(done):
    """seen, added, replaced, unchanged, skipped; and how many are pruned, None if not said."""
    line = next(line for line in done.stdout.splitlines() if line.startswith("seen "))
    pruned = re.search(r"(\d+) (?:would be )?pruned", done.stderr)
    return [int(n) for n in re.findall(r"\d+", line)], pruned and int(pruned[1])


def write(path, items):
    lines = [json.dumps({"id": i.id, "text": i.payload, **i.metadata}) for i in items]
    path.write_text("\n".join(lines))
    return path


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A collection of 60 texts, one of 60 vectors of width 24, both of 16 bits, and sources."""
    made = tmp_path_factory.mktemp("made")
    write(made / "t.jsonl", topic_items(60))
    np.save(made / "v.npy", clustered_vectors(60))
    for source, to in (("t.jsonl", "texts"), ("v.npy", "vectors")):
        ok("index", made / source, "--to", made / to, "--bits", 16, "--seed", 3)
    return made


@pytest.fixture
def place(made, tmp_path):
    """A copy of that, to change."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def agree(place, *arguments):
    """Both runs' numbers, which are the same; the dry one has left every file as it was."""
    before = files(place)
    dry = run("index", *arguments, "--dry-run")
    assert files(place) == before
    real = run("index", *arguments)
    assert dry.exit_code == real.exit_code, (dry.output, real.output)
    if real.exit_code == 0:
        assert counts(dry) == counts(real)
        return counts(real)
    said, truth = dry.stderr.splitlines()[-1], real.stderr.splitlines()[-1]
    assert said == truth
    return truth


def test_new_changed_and_removed_items(place):
    items = topic_items(70)[10:]
    items[2] = type(items[2])(items[2].id, "other words of bread", {})
    lines = write(place / "t2.jsonl", items).read_text() + "\nnot json\n"
    (place / "t2.jsonl").write_text(lines)
    arguments = [place / "t2.jsonl", "--to", place / "texts", "--prune"]
    assert agree(place, *arguments) == ([61, 10, 1, 49, 1], 10)


def test_vectors_are_checked_as_the_collections_model_takes_them(place):
    np.save(place / "narrow.npy", np.ones((5, 6), np.float32))
    (place / "narrow.ids.txt").write_text("a\nb\nc\nd\ne\n")
    to = ["--to", place / "vectors"]
    says = "expected at least one item that can be used, got 5 that cannot"
    assert says in agree(place, place / "narrow.npy", *to)


def test_the_width_of_a_new_collection_is_that_of_usable_rows(place):
    vectors = clustered_vectors(60)
    vectors[:20] = np.nan
    np.save(place / "late.npy", vectors)
    assert agree(place, place / "late.npy", "--to", place / "new", "--bits", 16) == (
        [60, 40, 0, 0, 20],
        None,
    )


def both(path, kind, items, options=None, spec=None):
    """What both make of the items: counts, and every report in its order."""
    found = []
    for make in (Rehearsal, Indexer):
        reported = []
        with make(path, kind, on_skipped=reported.append) as one:
            if options is not None:
                one.fit(items, options, spec=spec)
            tally = one.add(items)
            pruned = one.prune()
        counts = tally.added, tally.replaced, tally.unchanged, pruned
        found.append((*counts, tally.uncoded, reported))
    assert found[0] == found[1]
    return found[0]


def every_fate(kind):
    """New, changed and known items, and every way not to become one."""
    if kind == "text":
        known, unknown = topic_items(60), "zzz qqq"
    else:
        known = [Item(str(i), v) for i, v in enumerate(clustered_vectors(60))]
        unknown = np.full(24, 3e38, np.float32)
    payload = known[0].payload
    bad = [
        Item("nothing known", unknown),
        Item("of no kind", 7),
        Item("", payload),
        Item("a NUL \0", payload),
        Item("metadata", payload, {"x": object()}),
        Item("a missing file", "" if kind == "text" else payload[:3]),
        Skipped("unread", "it was hidden", "hidden"),
        Skipped(known[5].id, "it was hidden", "hidden"),
    ]
    new = [replace(item, id=f"new {i}") for i, item in enumerate(known)]
    changed = [replace(item, metadata={"n": -1}) for item in known[10:20]]
    return [*known[:10], *changed, *known[30:], *bad, *new, *bad, *known[:3]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["text", "vector"])
def test_every_fate_is_foreseen_in_any_order(made, kind, seed):
    items = every_fate(kind)
    Random(seed).shuffle(items)
    *counts, uncoded, reported = both(made / f"{kind}s", kind, items)
    assert all(counts)
    classes = {one.error_class for one in reported}
    assert uncoded if kind == "text" else {"overflow", "zero-norm"} & classes


def test_a_new_model_has_no_code_for_what_it_does_not_know_in_a_dry_run_too(made, tmp_path):
    options = TrainingOptions(n_bits=8)
    once = list({one.id: one for one in every_fate("text")}.values())  # a word of two is known
    rarely = TextSpec(min_documents=2)  # no word of one text is known
    *counts, uncoded, _ = both(tmp_path / "new", "text", once, options, rarely)
    assert counts[1:3] == [0, 0]
    assert uncoded
    *counts, _, _ = both(made / "texts", "text", once, options)
    assert counts[1:3] == [0, 0]


def test_with_a_new_model_everything_is_encoded_again(place):
    again = ["--to", place / "texts", "--retrain"]
    assert agree(place, place / "t.jsonl", *again) == ([60, 60, 0, 0, 0], None)
    few = write(place / "few.jsonl", topic_items(50))
    assert agree(place, few, *again, "--prune") == ([50, 50, 0, 0, 0], 10)


def test_an_item_that_a_new_model_would_leave_behind_is_named_before_training(place, monkeypatch):
    few = write(place / "few.jsonl", topic_items(50))

    def train(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr("indexer.fitting.learn.train_encoder", train)
    said = agree(place, few, "--to", place / "texts", "--retrain")
    assert "got all but 10" in said
    assert "prune" in said


def test_an_item_that_is_there_but_cannot_be_used_any_more(place):
    items = topic_items(60)
    items[7] = type(items[7])(items[7].id, "  ", {})
    said = agree(place, write(place / "t.jsonl", items), "--to", place / "texts", "--retrain")
    assert "got all but 1 " in said
    assert items[7].id in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--bits", "128"], "has 16-bit codes; --bits 128 needs --retrain"),
        (["--seed", "4"], "was made with --seed 3; --seed 4 needs --retrain"),
        (
            ["--preset", "nonsense"],
            "was made with --preset towers; --preset nonsense needs --retrain",
        ),
        (["--preset", "nonsense", "--retrain"], "preset: expected one of"),
        (
            ["--metric", "euclidean"],
            "was made with --metric cosine; --metric euclidean needs --retrain",
        ),
        (["--recipe", "nowhere"], "got no such file"),
        (["--kind", "text"], "--kind: expected items of kind vector"),
        (["--store-features"], "does not store features; --store-features needs --retrain"),
    ],
)
def test_options_are_refused_as_in_earnest(place, options, says):
    assert says in agree(place, place / "v.npy", "--to", place / "vectors", *options)


def test_too_few_items_to_learn_from(place):
    np.save(place / "one.npy", np.ones((1, 8), np.float32))
    assert "at least 2 to learn from, got 1" in agree(place, place / "one.npy", "--to", place / "n")
    np.save(place / "none.npy", np.full((3, 8), np.nan, np.float32))
    dry = run("index", place / "none.npy", "--to", place / "n", "--dry-run")
    assert counts(dry) == ([3, 0, 0, 0, 3], None)
    assert dry.exit_code == run("index", place / "none.npy", "--to", place / "n").exit_code == 1


def test_a_place_for_no_collection(place):
    for to in (place / "v.npy", place / "v.npy" / "c", place):
        assert "expected a" in agree(place, place / "v.npy", "--to", to)


def test_a_device_that_is_not_there(place, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = [place / "v.npy", "--to", place / "vectors", "--device", "cuda"]
    assert agree(place, *arguments) == ([60, 0, 0, 60, 0], None)  # nothing is trained
    assert "expected a CUDA device" in agree(place, *arguments, "--retrain")


def test_features_are_stored_as_the_collection_does_or_with_a_new_model(place):
    to = ["--to", place / "texts"]
    ok("index", place / "t.jsonl", *to, "--store-features")
    said = agree(place, place / "t.jsonl", *to, "--no-store-features")
    assert "stores features; --no-store-features needs --retrain" in said
    by_features = "query", place / "texts", "ship", "--rerank", 20, "--rerank-by", "features"
    ok(*by_features)
    ok("index", place / "t.jsonl", *to, "--no-store-features", "--retrain")
    assert run(*by_features).exit_code == 1
    ok("query", place / "texts", "ship", "--rerank", 20)  # by words, for which texts are kept


def test_items_that_only_their_row_numbers_name(place):
    np.save(place / "other.npy", clustered_vectors(30, seed=8))
    other = [place / "other.npy", "--to", place / "vectors"]
    note = "are only row numbers"
    assert note not in ok("index", place / "v.npy", "--to", place / "vectors").stderr
    done = ok("index", *other)
    assert counts(done) == ([30, 0, 30, 0, 0], None)
    assert note in done.stderr
    assert "30 stored items with the same ids were replaced" in done.stderr
    (place / "ids").write_text("".join(f"{i}\n" for i in range(30)))
    np.save(place / "other.npy", clustered_vectors(30, seed=9))
    done = ok("index", *other, "--ids", place / "ids")
    assert counts(done) == ([30, 0, 30, 0, 0], None)
    assert note not in done.stderr


@pytest.mark.parametrize(
    ("n", "options", "warns"),
    [(40, ["--bits", 16], True), (100, ["--bits", 16], False), (40, ["--packed-bits"], False)],
)
def test_the_warning_of_few_items_is_that_of_the_run(tmp_path, n, options, warns):
    vectors = clustered_vectors(n)
    packed = np.packbits(vectors > 0, axis=1)
    np.save(tmp_path / "v.npy", packed if "--packed-bits" in options else vectors)
    command = ["index", tmp_path / "v.npy", "--to", tmp_path / "c", *options]
    for done in (ok(*command, "--dry-run"), ok(*command)):
        assert (f"warning: only {n} items: too few" in done.stderr) == warns
