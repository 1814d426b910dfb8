"""The command line as a user meets it: exit codes, streams, and counts that add up."""

import json
import os
import re
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner

from hashret.items import Item
from indexer.cli import VERBS, main
from tests.catalogs import copied
from tests.corpora import TOPICS, clustered_vectors, topic_items

pytestmark = pytest.mark.usefixtures("each_catalog")


def run(*arguments, stdin=None):
    return CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)


def ok(*arguments, stdin=None):
    done = run(*arguments, stdin=stdin)
    assert done.exit_code == 0, done.output
    return done


def counts(done):
    """The closing line's numbers: seen, added, replaced, unchanged, skipped."""
    line = next(line for line in done.stdout.splitlines() if line.startswith("seen "))
    numbers = [int(n) for n in re.findall(r"\d+", line)]
    assert numbers[0] == sum(numbers[1:]), line
    return tuple(numbers)


def write_jsonl(path, items):
    lines = [json.dumps({"id": i.id, "text": i.payload, **i.metadata}) for i in items]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("corpus") / "docs.jsonl", topic_items())


@pytest.fixture(scope="module")
def collection(corpus, tmp_path_factory, each_catalog):
    to = tmp_path_factory.mktemp("made") / "c"
    done = ok("index", corpus, "--to", to, "--bits", 32)
    assert counts(done) == (120, 120, 0, 0, 0)
    assert "time: " in done.stderr
    return to


def test_query_by_text_and_by_standard_input(collection):
    one = ok("query", collection, "captain of the ship", "-k", 3)
    assert len(one.stdout.splitlines()) == 1 + 3
    assert "sea-" in one.stdout
    two = ok("query", collection, "-", "-k", 3, stdin="captain of the ship")
    assert two.stdout == one.stdout


def test_json_has_the_stable_keys(collection):
    keys = ["id", "distance", "score", "code", "metadata"]
    last = ["preview", "snippet"]
    by_words = ["words", "fused", *last, "by"]
    for how, more in (["--codes-only"], last), (["--hybrid"], by_words):
        lines = ok("query", collection, "captain of the ship", "--json", *how).stdout.splitlines()
        hits = [json.loads(line) for line in lines]
        assert len(hits) == 10
        assert all(list(h) == keys + more for h in hits)
    assert all(len(h["code"]) == 8 and 0 <= h["score"] <= 1 for h in hits)
    assert hits[0]["metadata"]["topic"] == "sea"


def test_radius_and_bucket(collection):
    everything = ok("query", collection, "ship", "--radius", 32, "--json").stdout.splitlines()
    assert len(everything) == 120
    assert (
        len(ok("query", collection, "ship", "--radius", 32, "-k", 7, "--json").stdout.splitlines())
        == 7
    )
    bucket = ok("query", collection, "--id", "sea-000", "--bucket", "--json").stdout.splitlines()
    assert "sea-000" in {json.loads(line)["id"] for line in bucket}
    assert all(json.loads(line)["distance"] == 0 for line in bucket)


def test_query_by_file_is_query_by_its_text(collection, tmp_path):
    (tmp_path / "q.html").write_text("<html><p>captain of the <b>ship</b></p></html>")
    by_file = ok("query", collection, "--file", tmp_path / "q.html", "--json")
    assert by_file.stdout == ok("query", collection, "captain of the ship", "--json").stdout


def test_similar_leaves_the_item_out_and_get_shows_it(collection):
    hits = ok("similar", collection, "sea-000", "-k", 5, "--json").stdout.splitlines()
    assert len(hits) == 5
    assert "sea-000" not in {json.loads(line)["id"] for line in hits}
    shown = json.loads(ok("get", collection, "sea-000", "--json").stdout)
    assert shown["metadata"] == {"topic": "sea", "year": 2000}
    assert shown["code"] in ok("get", collection, "sea-000").stdout


def test_where_selects_before_each_verb_answers(collection, tmp_path):
    metadata = {item.id: item.metadata for item in topic_items()}
    chosen = {
        i for i, m in metadata.items() if m["year"] >= 2010 and m["topic"] in ("sea", "space")
    }
    where = "--where", "year >= 2010 and topic in ('sea', 'space')"
    assert set(ok("list", collection, *where).stdout.splitlines()) == chosen
    batch = tmp_path / "batch.jsonl"
    batch.write_text(json.dumps({"id": "q", "text": "a recipe for bread"}))
    answers = [
        ok("query", collection, "a recipe for bread", "-k", 200, "--json", *where),
        ok("query", collection, "--id", "kitchen-001", "-k", 200, "--json", *where),
        ok("query", collection, "a recipe for bread", "--radius", 32, "--json", *where),
        ok("similar", collection, "kitchen-001", "-k", 200, "--json", *where),
    ]
    found = [[json.loads(line) for line in done.stdout.splitlines()] for done in answers]
    found.append(
        json.loads(ok("query", collection, "--batch", batch, "-k", 200, *where).stdout)["hits"]
    )
    for hits in found:
        assert {hit["id"] for hit in hits} == chosen
    done = run("query", collection, "bread", "--where", "year = 2010")
    assert done.exit_code == 1
    assert "write ==" in done.stderr
    done = ok("query", collection, "bread", "--where", "year > 3000")
    assert "no item satisfies the condition" in done.stderr


def test_a_radius_without_hits_says_how_near_the_nearest_is(collection):
    """Some query of few words lies between the codes; its nearest is found at what it says."""
    words = [word for item in topic_items() for word in item.payload.split()]
    pairs = (f"{one} {other}" for one, other in zip(words, words[50:], strict=False))
    for text in [*words, *pairs]:
        done = ok("query", collection, text, "--bucket")
        if not done.stdout:
            break
    told = re.fullmatch(
        r"no hits within 0 bits; the nearest is at (\d+) \(try --radius (\d+)\)\n", done.stderr
    )
    assert told is not None
    assert told[1] == told[2]
    at = int(told[1])
    found = ok("query", collection, text, "--radius", at, "--json").stdout.splitlines()
    assert {json.loads(line)["distance"] for line in found} == {at}
    nearer = ok("query", collection, text, "--radius", at - 1)
    assert (nearer.stdout, f"within {at - 1} bit" in nearer.stderr) == ("", True)


def test_list_and_info(collection):
    ids = ok("list", collection).stdout.splitlines()
    assert ids == sorted(item.id for item in topic_items())
    info = json.loads(ok("info", collection, "--json").stdout)
    assert (info["n_items"], info["n_bits"], info["commit"], info["kind"]) == (120, 32, 1, "text")
    assert info["model"]["encoder"] == "dense"
    assert info["bytes"]["segments"] >= 120 * 4
    assert "120" in ok("info", collection).stdout


def test_batch_answers_in_the_order_asked(collection, tmp_path):
    (tmp_path / "text.txt").write_text("knead the dough, bake the bread")
    batch = tmp_path / "batch.jsonl"
    queries = [
        {"id": "b", "text": "violin and choir"},
        {"id": "a", "path": "text.txt"},
        {"id": "none", "text": "zyzzyva"},
    ]
    batch.write_text("\n".join(json.dumps(q) for q in queries))
    answers = [
        json.loads(line)
        for line in ok("query", collection, "--batch", batch, "-k", 2).stdout.splitlines()
    ]
    assert [a["query"] for a in answers] == ["b", "a", "none"]
    assert [len(a["hits"]) for a in answers] == [2, 2, 0]
    assert "no word" in answers[2]["note"]
    alone = ok("query", collection, "violin and choir", "-k", 2, "--json").stdout.splitlines()
    beside = "by", "snippet"  # said once of all hits of a query, and of a single question only
    shown = [{k: v for k, v in json.loads(line).items() if k not in beside} for line in alone]
    assert answers[0]["hits"] == shown


def test_a_bad_line_of_a_batch_is_answered_and_fails_at_the_end(collection, tmp_path):
    batch = tmp_path / "batch.jsonl"
    batch.write_text('{"id": 1, "text": "ship"}\nnot json\n{"id": 3}\n{"id": 4, "text": "bread"}\n')
    done = run("query", collection, "--batch", batch)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 1
    assert [a["query"] for a in answers] == ["1", "2", "3", "4"]
    assert ["error" in a for a in answers] == [False, True, True, False]


def test_indexing_again_skips_replaces_and_prunes(corpus, tmp_path):
    to = tmp_path / "c"
    ok("index", corpus, "--to", to, "--bits", 16)
    assert counts(ok("index", corpus, "--to", to)) == (120, 0, 0, 120, 0)
    items = topic_items()
    items[3] = type(items[3])(items[3].id, "a new text about bread", {})
    fewer = write_jsonl(tmp_path / "fewer.jsonl", items[:100])
    done = ok("index", fewer, "--to", to, "--prune", "--dry-run")
    assert counts(done) == (100, 0, 1, 99, 0)
    assert len(ok("list", to).stdout.splitlines()) == 120
    done = ok("index", fewer, "--to", to, "--prune")
    assert counts(done) == (100, 0, 1, 99, 0)
    assert "20 pruned" in done.stderr
    assert len(ok("list", to).stdout.splitlines()) == 100


def test_asking_for_another_model_needs_retrain(corpus, collection, tmp_path):

    to = tmp_path / "c"
    copied(collection, to)
    done = run("index", corpus, "--to", to, "--bits", 64)
    assert done.exit_code == 1
    assert "--retrain" in done.stderr
    ok("index", corpus, "--to", to, "--bits", 32)
    ok("index", corpus, "--to", to, "--bits", 64, "--retrain")
    assert json.loads(ok("info", to, "--json").stdout)["n_bits"] == 64


def test_remove(corpus, collection, tmp_path):

    to = tmp_path / "c"
    copied(collection, to)
    assert run("remove", to, "sea-000", "ghost").exit_code == 1
    before = json.loads(ok("info", to, "--json").stdout)["commit"]
    done = ok("remove", to, "ghost", "--missing-ok")
    assert (done.stdout, "no commit" in done.stderr) == ("removed 0\n", True)
    assert json.loads(ok("info", to, "--json").stdout)["commit"] == before
    ok("remove", to, "sea-000", "kitchen-001")
    done = run("get", to, "sea-000")
    assert done.exit_code == 1
    assert "sea-000" in done.stderr
    assert len(ok("list", to).stdout.splitlines()) == 118


def test_a_folder_of_texts_with_bad_files(tmp_path):
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    for i, (topic, words) in enumerate(TOPICS.items()):
        for j in range(6):
            (folder / "sub" / f"{topic}{j}.txt").write_text(
                " ".join(words[j:] + words[:j]) * (i + 1)
            )
    (folder / "empty.txt").write_text("")
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    report = tmp_path / "report.jsonl"
    done = ok("index", folder, "--to", tmp_path / "c", "--bits", 16, "--report", report)
    seen, added, _, _, skipped = counts(done)
    assert (seen, added, skipped) == (26, 24, 2)
    reasons = {r["id"]: r["class"] for r in map(json.loads, report.read_text().splitlines())}
    assert reasons.keys() == {"empty.txt", "photo.jpg"}
    assert "sub/sea0.txt" in ok("list", tmp_path / "c").stdout.splitlines()


def test_vectors_from_files(tmp_path):
    vectors = clustered_vectors()
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "q.npy", vectors[5])
    to = tmp_path / "c"
    ok("index", tmp_path / "v.npy", "--to", to, "--bits", 16)
    by_file = ok("query", to, "--file", tmp_path / "q.npy", "-k", 5, "--json").stdout
    assert {int(json.loads(line)["id"]) % 4 for line in by_file.splitlines()} == {1}
    by_text = ok("query", to, json.dumps(vectors[5].tolist()), "-k", 5, "--json").stdout
    assert by_text == by_file
    hits = ok("query", to, "--file", tmp_path / "q.npy", "--asymmetric", "--json").stdout
    scores = [json.loads(line)["score"] for line in hits.splitlines()]
    assert scores == sorted(scores, reverse=True)
    assert run("query", to, "--file", tmp_path / "q.npy", "--asymmetric", "--bucket").exit_code == 2
    assert run("index", tmp_path / "v.npy", "--to", to, "--metric", "euclidean").exit_code == 1
    assert run("query", to, "[1, 2]").exit_code == 1
    assert run("query", to, "ship").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["query", "missing", "x"], "hashret index"),
        (["info", "missing"], "missing"),
        (["remove", "missing", "x"], "missing"),
        (["index", "nowhere", "--to", "c"], "nowhere"),
    ],
)
def test_foreseeable_errors_leave_with_1_and_one_line(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.exit_code == 1, done.output
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_index_is_an_error_and_leaves_nothing(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("index", empty, "--to", tmp_path / "c").exit_code == 1
    (empty / "a.txt").write_text("  \n ")
    done = run("index", empty, "--to", tmp_path / "c")
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert not (tmp_path / "c").exists()


def test_wrong_usage_leaves_with_2(collection):
    assert run("query", collection).exit_code == 2
    assert run("query", collection, "a", "--id", "b").exit_code == 2
    assert run("query", collection, "a", "--bucket", "--radius", 3).exit_code == 2
    assert run("index", "x", "--to", "c", "--bits", 12).exit_code == 2
    assert run("nonsense").exit_code == 2


def test_an_approximate_answer_is_labelled(collection, tmp_path):
    text = "captain of the ship"
    exact = ok("query", collection, text, "-k", 3, "--codes-only", "--json").stdout
    assert "approximate" not in exact
    done = ok("query", collection, text, "-k", 3, "--index", "faiss-hash")
    shown = done.stderr.splitlines()
    assert shown[0].startswith("approximate (faiss-hash): recall@10 ")
    assert shown[0].endswith(" measured on 30 held-out codes")
    assert len(done.stdout.splitlines()) == 1 + 3
    lines = ok("query", collection, text, "-k", 3, "--index", "faiss-hash", "--json").stdout
    for line in map(json.loads, lines.splitlines()):
        label = line["approximate"]
        assert list(label) == ["index", "b", "nflip", "recall", "k", "n_queries"]
        assert f"{label['recall']:.3f}" in shown[0]
    batch = tmp_path / "batch.jsonl"
    batch.write_text(json.dumps({"text": text}))
    answer = json.loads(ok("query", collection, "--batch", batch, "--index", "faiss-ivf").stdout)
    assert answer["approximate"]["index"] == "faiss-ivf"
    by_id = ok("query", collection, "--id", "sea-000", "--index", "faiss-hnsw").stderr
    assert by_id.startswith("approximate (faiss-hnsw)")
    assert ok("query", collection, text, "-k", 3, "--index", "table", "--json").stdout == exact


def test_an_index_that_there_is_not(collection):
    done = run("query", collection, "x", "--index", "hnsw")
    assert done.exit_code == 1
    assert "faiss-hnsw" in done.stderr
    for other in (["--where", "year > 1"], ["--radius", 2], ["--bucket"], ["--asymmetric"]):
        done = run("query", collection, "ship", "--index", "faiss-ivf", *other)
        assert done.exit_code == 2
        assert "answered exactly without it" in done.stderr


def test_a_query_with_no_known_word_is_said_plainly(collection):
    done = ok("query", collection, "zyzzyva")
    assert done.stdout == ""
    assert "no word" in done.stderr


def test_a_folder_that_is_no_collection(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    for arguments in (
        ["query", tmp_path / "other", "x"],
        ["index", tmp_path, "--to", tmp_path / "other"],
    ):
        done = run(*arguments)
        assert done.exit_code == 1, done.output
        assert "Traceback" not in done.output
    assert (tmp_path / "other" / "file").read_text() == "x"


def test_a_cold_text_query_loads_nothing_heavy(collection):
    script = (
        "import sys\n"
        "from indexer.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'faiss', 'PIL', 'rich'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "query", str(collection), "ship and harbour"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert "sea-" in done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0])
def test_a_killed_index_leaves_the_last_commit_and_runs_again(collection, tmp_path, seconds):
    to = tmp_path / "c"
    copied(collection, to)
    before = ok("list", to).stdout
    more = write_jsonl(tmp_path / "more.jsonl", topic_items(3000, seed=1))
    command = [sys.executable, "-c", "from indexer.cli import main; main()", "index"]
    command += [str(more), "--to", str(to)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        killed.wait(seconds)
    except subprocess.TimeoutExpired:
        killed.kill()
        killed.wait()
    else:
        assert killed.returncode == 0  # it was done before
    found = ok("list", to).stdout
    # one commit or the other, whole; the later one too where it was killed on its way out
    assert found == before or len(found.splitlines()) == 3000
    assert found != before or killed.returncode != 0
    again = counts(ok("index", more, "--to", to))
    assert again[0] == 3000
    assert len(ok("list", to).stdout.splitlines()) == 3000


def test_what_a_stranger_wrote_moves_no_cursor(tmp_path):
    evil = "\x1b]0;owned\x07\x1b[2J\u202egnp\x9b31m\u2028"
    items = [
        Item(f"{evil}{i}\nfake-id", f"{item.payload} {evil}", {evil: evil})
        for i, item in enumerate(topic_items(60))
    ]
    source, to = write_jsonl(tmp_path / "t.jsonl", items), tmp_path / "c"
    with source.open("a") as lines:
        lines.write(json.dumps({"id": f"{evil}bad", "text": " "}) + "\n")
    made = ok("index", source, "--to", to)
    listed = ok("list", to)
    assert len(listed.stdout.splitlines()) == 60
    first = items[0].id
    shown = [made, listed, ok("query", to, items[0].payload), ok("get", to, first), ok("info", to)]
    shown += [ok("similar", to, first), run("get", to, f"{evil}nobody")]
    for result in shown:
        said = result.stdout + result.stderr
        assert not set(said) & set("\x1b\x07\x9b\u202e\u2028\r")
    assert "\\x1b]0;owned\\x07" in listed.stdout
    answers = [json.loads(x)["id"] for x in ok("list", to, "--json").stdout.splitlines()]
    assert first in answers


def test_a_collection_in_its_own_source_is_one_line_of_the_report(tmp_path):
    for i, item in enumerate(topic_items(60)):
        (tmp_path / f"{i}.txt").write_text(item.payload)
    for _ in range(2):
        result = ok("index", tmp_path, "--to", tmp_path / "here.hashret")
        assert counts(result)[0] == 61
        left_out = [line for line in result.stderr.splitlines() if line.startswith("left out")]
        assert left_out == ["left out 1: 1 collection; --report FILE lists them"]


def test_verbs_are_listed_without_being_imported():
    assert list(main.commands) == list(VERBS)
    listed = ok("--help").stdout.split("Commands:")[1].split("\n")
    for verb, (_, line) in VERBS.items():
        assert any(said.split() == [verb, *line.split()] for said in listed)
        assert main.get_command(click.Context(main), verb).short_help == line
    assert run("reindex").exit_code == 2


def test_a_shell_completes_verbs_and_options():
    for words, expected in (("hashret qu", "query"), ("hashret query --rer", "--rerank")):
        done = CliRunner().invoke(
            main,
            [],
            prog_name="hashret",
            env={
                "_HASHRET_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split()) - 1),
            },
        )
        assert f"plain,{expected}" in done.stdout
