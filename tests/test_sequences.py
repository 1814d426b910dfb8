"""Sequences from end to end: the library, the command line, and what else is asked of them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from hashret import Collection, Item
from hashret.errors import EmptyCorpusError, InputError, PayloadError, TrainingError
from hashret.insight.duplicates import duplicates
from hashret.specs import SequenceSpec
from indexer import Indexer, TrainingOptions
from indexer.cli import main
from tests.corpora import orders, series
from tests.training.recipes import change_all

OPTIONS = TrainingOptions(n_bits=16, device="cpu")
TOKENS = orders(40)
SERIES = series(40)


@pytest.fixture(autouse=True)
def little_training(monkeypatch):
    change_all(monkeypatch, least_steps=2, epochs=1, pretrain_epochs=1, n_units=8, hidden=(16,))


def run(*arguments, code=0):
    done = CliRunner().invoke(main, [str(one) for one in arguments])
    assert done.exit_code == code, done.output
    return done


def indexed(path, payloads, spec=None, **how):
    items = [Item(f"s{i}", one, {"n": i % 4}) for i, one in enumerate(payloads)]
    with Indexer(path, "sequence", **how) as indexer:
        indexer.fit(items, OPTIONS, spec=spec)
        indexer.add(items)
        indexer.commit()
        return indexer.tally


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A collection of tokens and one of series."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        change_all(patch, least_steps=2, epochs=1, pretrain_epochs=1, n_units=8, hidden=(16,))
        indexed(folder / "tokens", TOKENS)
        indexed(folder / "series", SERIES)
    return folder


@pytest.fixture(params=["tokens", "series"])
def collection(made, request):
    with Collection.open(made / request.param) as collection:
        yield collection


def payloads_of(collection):
    return TOKENS if collection.coder.featurizer.n_tokens else SERIES


def test_every_item_finds_itself_one_by_one_and_together(collection):
    payloads = payloads_of(collection)
    together = collection.query(payloads, k=40)
    for i, (payload, hits) in enumerate(zip(payloads, together, strict=True)):
        alone = collection.query(payload, k=40)
        assert alone.hits == hits.hits
        assert f"s{i}" in {hit.id for hit in hits if hit.distance == 0}
    as_lists = [one.tolist() if isinstance(one, np.ndarray) else one for one in payloads[:2]]
    assert [list(one) for one in collection.query(as_lists, k=3)] == [
        list(one) for one in collection.query(payloads[:2], k=3)
    ]


def test_a_shortlist_is_ordered_by_how_alike_the_steps_are(collection):
    payload = payloads_of(collection)[3]
    hits = collection.query(payload, k=40, rerank=40)
    assert hits[0].id == "s3"
    similarities = [hit.similarity for hit in hits]
    assert similarities == sorted(similarities, reverse=True)
    by_class = [hit.metadata["n"] for hit in hits[:8]]
    assert by_class.count(3) >= 6  # features tell the order, whatever the codes learned


def test_what_is_shown_and_found_again(collection):
    item = collection.get("s5")
    is_tokens = collection.coder.featurizer.n_tokens > 0
    expected = " ".join(TOKENS[5]) if is_tokens else f"{len(SERIES[5])} steps of 2 numbers: "
    assert item.preview.startswith(expected)
    assert collection.similar("s5", k=3)[0].id != "s5"
    assert len(list(duplicates(collection))) >= 0
    assert collection.info()["kind"] == "sequence"


def test_unknown_tokens_have_no_code_and_are_kept(made, tmp_path):
    tally = indexed(
        tmp_path / "c", [*TOKENS, ["zzz"] * 3], SequenceSpec("tokens", vocabulary_size=6)
    )
    assert tally.uncoded == 1
    with Collection.open(tmp_path / "c") as collection:
        assert collection.get("s40").code == ""
        hits = collection.query(["never", "seen"])
        assert (len(hits), hits.note[:31]) == (0, "the sequence has no token that ")
    with (
        Collection.open(made / "series") as collection,
        pytest.raises(PayloadError, match="finite"),
    ):
        collection.query([[float("nan"), 1.0]])


def test_bad_items_are_skipped_with_the_reason_and_nothing_is_lost(tmp_path):
    bad = [
        [],
        np.ones((3, 5)),
        [[1, 2], [3]],
        np.full((2, 2), np.inf),
        ["a", "b"],
        {"no": "sequence"},
        np.ones((2, 2, 2)),
    ]
    reported = []
    items = [Item(f"s{i}", one) for i, one in enumerate([*SERIES, *bad])]
    with Indexer(tmp_path / "c", "sequence", on_skipped=reported.append) as indexer:
        indexer.fit(items, OPTIONS)
        tally = indexer.add(items)
        indexer.commit()
    assert tally.added == 40
    found = {one.id: one.error_class for one in reported}
    assert [found[f"s{i}"] for i in range(40, 47)] == [
        *("empty-sequence", "wrong-width", "mixed-steps", "not-finite", "mixed-steps"),
        *("bad-payload", "bad-payload"),
    ]


def test_too_few_and_none_to_learn_from(tmp_path):
    with Indexer(tmp_path / "c", "sequence") as indexer:
        with pytest.raises(EmptyCorpusError, match="at least one usable sequence item"):
            indexer.fit([Item("a", [])], OPTIONS)
        with pytest.raises(TrainingError, match="at least 2"):
            indexer.fit([Item("a", [1, 2])], OPTIONS)
        with pytest.raises(TypeError, match="spec: expected that of features of sequence items"):
            indexer.fit([Item("a", [1, 2])], OPTIONS, spec=object())


def test_long_sequences_are_cut_and_it_is_said(tmp_path):
    notes = []
    indexed(tmp_path / "c", TOKENS, SequenceSpec(longest=4), on_note=notes.append)
    assert any("40 of 40 sequences have more than 4 steps" in note for note in notes)
    with Collection.open(tmp_path / "c") as collection:
        whole = TOKENS[0]
        assert collection.query(whole, k=40).hits == collection.query(whole[:4], k=40).hits
        assert collection.coder.featurizer.spec == SequenceSpec("tokens", longest=4)


def test_items_added_before_there_is_a_model_are_learned_from_later(tmp_path):
    with Indexer(tmp_path / "c", "sequence") as indexer:
        indexer.add([Item(str(i), one) for i, one in enumerate(["open read", *TOKENS])])
        indexer.commit()
    with Indexer(tmp_path / "c") as indexer:
        indexer.fit(options=OPTIONS)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        assert collection.query("open read", k=1)[0].distance == 0


@pytest.fixture
def log(tmp_path):
    """A log of 40 users' steps, all mixed up as they came."""
    rows = [(t, f"u{i}", token) for i, one in enumerate(TOKENS) for t, token in enumerate(one)]
    lines = [f"{user},{token},{user[1:]}" for _, user, token in sorted(rows, key=lambda r: r[0])]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["user,event,segment", *lines]) + "\n")
    return path


def test_a_log_is_indexed_and_asked(log, tmp_path):
    path = tmp_path / "c"
    how = ["--series-id", "user", "--values", "event", "--bits", "16"]
    done = run("index", log, *how, "--to", path)
    assert "seen 40 = 40 added" in done.output
    assert (
        "seen 40 = 0 added + 0 replaced + 40 unchanged"
        in run("index", log, *how, "--to", path).output
    )

    def hits(*query):
        found = run("query", path, *query, "--json", "-k", "40").stdout.splitlines()
        return [json.loads(line) for line in found]

    found = hits(json.dumps(TOKENS[7]))
    (own,) = (hit for hit in found if hit["id"] == "u7")
    assert (own["distance"], own["metadata"]) == (0, {"steps": 12, "segment": "7"})
    (log.parent / "q.txt").write_text(" ".join(TOKENS[7]) + "\n")
    assert hits(" ".join(TOKENS[7])) == hits("--file", log.parent / "q.txt") == found
    batch = log.parent / "b.jsonl"
    rows = [{"sequence": TOKENS[7]}, {"sequence": "zzz"}, {"sequence": []}, {"text": "a"}]
    batch.write_text("\n".join(map(json.dumps, rows)))
    lines = run("query", path, "--batch", batch, "-k", "40", code=1).stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [hit["id"] for hit in answers[0]["hits"]] == [hit["id"] for hit in found]
    assert "no token" in answers[1]["note"]
    assert "at least one step" in answers[2]["error"]
    assert "expected the key sequence or path" in answers[3]["error"]
    assert "u7" in run("list", path, "--where", "steps == 12").output
    explained = run("explain", path, json.dumps(TOKENS[7]), "u3").output
    assert "without each of its words:" in explained
    assert '"open"' in explained
    assert "bit  ones" in run("bits", path).output


def test_series_are_indexed_and_asked_by_file(tmp_path):
    np.savez(tmp_path / "a.npz", **{f"run{i}": one for i, one in enumerate(SERIES)})
    path = tmp_path / "c"
    run("index", tmp_path / "a.npz", "--kind", "sequence", "--to", path, "--bits", "16")
    np.save(tmp_path / "q.npy", SERIES[4])
    rows = "\n".join(",".join(repr(float(x)) for x in step) for step in SERIES[4])
    (tmp_path / "q.csv").write_text(f"a,b\n{rows}\n")
    (tmp_path / "q.json").write_text(json.dumps(SERIES[4].tolist()))
    answers = {
        run("query", path, "--file", tmp_path / f"q.{ending}", "-k", "5").stdout
        for ending in ("npy", "csv", "json")
    }
    answers.add(run("query", path, json.dumps(SERIES[4].tolist()), "-k", "5").stdout)
    assert len(answers) == 1
    assert "run4\t0/16\t100%" in answers.pop().replace("  ", "\t")
    assert (
        "without each of its steps:"
        in run("explain", path, "--file", tmp_path / "q.npy", "run3").output
    )
    again = run("retrain", path, "--bits", "24", "-q")
    assert "encoded 40 items again" in again.output


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("[1, 2", "expected a JSON list of steps, got '[1, 2'"),
        ("[[1, 2], [3]]", "expected 2 numbers in each step, as in the first, got 1 in step 1"),
        ("[[1, 2, 3]]", "expected 2 numbers in each step, got 3"),
        ("[]", "expected at least one step"),
        ('["a", 1]', "only tokens, only numbers"),
        ("open read", "expected numbers, as the collection's are, got the token 'open'"),
    ],
)
def test_a_query_that_is_none_is_refused(made, query, said):
    assert said in run("query", made / "series", query, code=1).output


def test_a_file_of_another_form_is_refused(made, tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones((2, 2)), b=np.ones((3, 2)))
    (tmp_path / "two.txt").write_text("a b\nc d\n")
    for name, said in (("two.npz", "one in a file, got a (2, 2)"), ("two.txt", "got 2 lines")):
        assert said in run("query", made / "series", "--file", tmp_path / name, code=1).output


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (["--kind", "text", "--steps", "tokens"], "--steps: expected items of kind sequence"),
        (["--kind", "text", "--longest", "9"], "--longest: expected items of kind sequence"),
        (["--kind", "sequence", "--metric", "cosine"], "--metric: expected items of kind vector"),
        (["--kind", "sequence", "--preset", "dense"], "preset: expected one of recur"),
        (["--kind", "sequence", "--store-text"], "store_text: expected a collection of texts"),
        (["--kind", "sequence", "--min-words", "3"], "--min-words: expected texts"),
    ],
)
def test_options_of_other_kinds_are_refused(tmp_path, how, said):
    (tmp_path / "a.txt").write_text("a b\nb a\n")
    done = CliRunner().invoke(
        main, ["index", str(tmp_path / "a.txt"), *how, "--to", str(tmp_path / "c")]
    )
    assert done.exit_code in (1, 2)
    assert said in done.output


def test_what_steps_are_is_chosen_once(log, tmp_path):
    path = tmp_path / "c"
    how = ["index", log, "--series-id", "user", "--values", "segment", "--to", path]
    run(*how, "--steps", "tokens", "--longest", "9", "--bits", "16")
    with Collection.open(path) as collection:
        assert collection.coder.featurizer.spec == SequenceSpec("tokens", longest=9)
        assert collection.get("u7").preview.startswith("7 7 7")
    run(*how, "--steps", "tokens")
    assert "--steps numbers needs --retrain" in run(*how, "--steps", "numbers", code=1).output
    assert "--longest 8 needs --retrain" in run(*how, "--longest", "8", code=1).output


def test_the_kinds_of_collections_do_not_mix(made, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "a"}\n')
    with pytest.raises(InputError, match="sequence"), Indexer(made / "tokens", "text"):
        pass
    done = run("index", tmp_path / "a.jsonl", "--to", made / "tokens", "--kind", "text", code=1)
    assert "expected sequence" in done.output or "sequence" in done.output
