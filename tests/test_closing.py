"""What a run of `hashret index` says at its end: what was read, what was left out and why."""

import json
import re
import zipfile
from collections import Counter

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hashret.items import Item
from hashret.store.segments.record_schema import ItemRecord
from hashret.workers.refusals import Refused
from indexer import Indexer
from indexer.cli import main
from indexer.cli.closing import show_counts
from indexer.corpus import Skipped
from indexer.corpus.endings import NONE, OTHER, counted, ending_of
from indexer.ingest.counts import Tally
from indexer.ingest.intake import Batch
from indexer.training import TrainingOptions
from tests.corpora import TOPICS, topic_items

CLASSES = ("hidden", "other-type", "ignored", "bad-csv", "too-large", "not-text")


@given(st.lists(st.sampled_from(CLASSES), max_size=60))
def test_examples_are_of_what_can_be_mended(classes):
    tally = Tally()
    for i, error_class in enumerate(classes):
        tally.skip(Skipped(str(i), error_class, error_class))
    examples = [one.error_class for one in tally.examples()]
    grave = Counter(name for name in classes if name in CLASSES[3:])
    assert len(examples) == min(3, grave.total())
    assert len(set(examples)) == min(3, len(grave))
    if grave:
        assert grave[examples[0]] == max(grave.values())


def test_one_bad_row_is_shown_among_many_hidden_files(capsys):
    tally = Tally(added=5)
    for i in range(190):
        tally.skip(Skipped(f".{i}", "a hidden file", "hidden"))
    tally.skip(Skipped("t.csv:7", "line 7 is lost", "bad-csv"))
    show_counts(tally, "text")
    shown = capsys.readouterr()
    assert shown.out == "seen 196 = 5 added + 0 replaced + 0 unchanged + 191 skipped\n"
    assert shown.err.splitlines() == [
        "left out 191: 190 hidden, 1 bad-csv; --report FILE lists them",
        "skipped t.csv:7: line 7 is lost",
    ]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("text", "30 .jpg, 2 .png (images: --images-to), 4 .pdf: install hashret[documents], "),
        ("image", "30 .jpg, 2 .png, 1 .exe (other type), 4 .pdf: install hashret[documents], "),
    ],
)
def test_each_reason_says_what_helps(capsys, kind, says):
    tally = Tally(on_skipped=lambda skipped: None)
    tally.count_read(Counter({".txt": 1200, ".md": 4}))
    skipped = [("a.jpg", "other-type")] * 30 + [("b.PNG", "other-type")] * 2
    skipped += [("c.pdf", "needs-extra")] * 4 + [(".x", "hidden")] * 3
    skipped += [("d.exe", "other-type"), ("e.txt", "empty-text"), ("f.csv", "other-type")]
    for name, error_class in skipped:
        tally.skip(Skipped(name, "why", error_class))
    show_counts(tally, kind, by_ending=True)
    read, left_out, *_ = capsys.readouterr().err.splitlines()
    assert read == "read 1,204: 1,200 .txt, 4 .md"
    assert left_out.startswith(f"left out 42: {says}3 hidden, ")
    assert "1 .txt (empty-text)" in left_out
    assert "1 .csv (table: name it as a source)" in left_out
    assert "--report" not in left_out


@pytest.mark.parametrize(
    ("item_id", "ending"),
    [
        ("a/b.TXT", ".txt"),
        ("a.zip/b.tar.gz", ".gz"),
        ("manual.pdf#17", ".pdf"),
        ("posts.jsonl:17", ".jsonl"),
        ("alt.atheism/49960", NONE),
        (".gitignore", NONE),
        ("a.", NONE),
        ("", NONE),
        ("a.\x1b[31m", OTHER),
        ("a." + "x" * 40, OTHER),
        ("a.\u202e", OTHER),
    ],
)
def test_the_ending_of_an_id(item_id, ending):
    assert ending_of(item_id) == ending


def test_endings_of_strangers_are_counted_in_bounded_memory():
    counts = Counter()
    for i in range(5000):
        counted(counts, f".{i}")
    assert counts.total() == 5000
    assert len(counts) <= 201
    assert counts[OTHER] == 4800


def test_what_gets_no_code_is_not_counted_as_read():
    batch = Batch(endings=Counter({".txt": 2, ".md": 1}))
    batch.pending = [ItemRecord(name, b"", {}, "") for name in ("a.txt", "b.txt", "c.md")]
    tally = Tally()
    batch.count(tally, {1: Refused("overflow", "too long")})
    assert tally.read == {".txt": 1, ".md": 1}
    assert tally.endings == {"overflow": {".txt": 1}}


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 texts, 24 images, an archive with four of each, and what is left out."""
    root = tmp_path_factory.mktemp("mixed") / "folder"
    (root / "photos").mkdir(parents=True)
    for i, (topic, words) in enumerate(TOPICS.items()):
        for j in range(6):
            (root / f"{topic}{j}.txt").write_text(" ".join(words[j:] + words[:j]) * (i + 1))
            image = Image.new("L", (16, 16), 40 * i + j)
            image.putpixel((i, j), 255)
            image.save(root / "photos" / f"{topic}{j}.png")
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        for topic in TOPICS:
            archive.write(root / f"{topic}0.txt", f"{topic}.txt")
            archive.write(root / "photos" / f"{topic}0.png", f"{topic}.png")
    (root / "program.exe").write_bytes(b"MZ\0")
    (root / ".gitignore").write_text("*.log\n")
    (root / "run.log").write_text("words")
    return root


@pytest.fixture
def made(tmp_path):
    """A collection of texts and one of images, hardly trained, and empty."""
    with Indexer(tmp_path / "texts", "text") as indexer:
        indexer.fit(topic_items(40), TrainingOptions(n_bits=8, device="cpu", epochs=1))
        indexer.add(topic_items(1))
        indexer.commit()
    pictures = []
    for i in range(8):
        image = Image.new("L", (16, 16), 30 * i)
        image.putpixel((i, i), 255)
        pictures.append(Item(str(i), image))
    with Indexer(tmp_path / "images", "image") as indexer:
        options = TrainingOptions(n_bits=8, device="cpu", epochs=1, preset="dense")
        indexer.fit(pictures, options)
        indexer.add(pictures[:1])
        indexer.commit()
    return tmp_path


def test_a_mixed_folder_becomes_two_collections(folder, made):
    to = ("--to", made / "texts", "--images-to", made / "images", "--report", made / "r.jsonl")
    done = run("index", folder, *to)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "seen 31 = 28 added + 0 replaced + 0 unchanged + 3 skipped",
        "seen 31 = 28 added + 0 replaced + 0 unchanged + 3 skipped",
    ]
    said = done.stderr.splitlines()
    assert [line for line in said if line.startswith("read ")] == [
        "read 28: 28 .txt",
        "read 28: 28 .png",
    ]
    assert said.count("left out 3: 1 hidden, 1 .exe (other type), 1 ignored") == 2
    lines = (made / "r.jsonl").read_text().splitlines()
    classes = Counter(json.loads(line)["class"] for line in lines)
    assert classes == {"hidden": 2, "ignored": 2, "other-type": 2}
    again = run("index", folder, *to)
    assert again.stdout.count(" + 28 unchanged + 3 skipped") == 2
    found = run("list", made / "texts", "--where", "folder == 'more.zip' and modified >= '1980'")
    assert sorted(found.stdout.split()) == sorted(f"more.zip/{topic}.txt" for topic in TOPICS)
    assert "more.zip/sea.png" in run("list", made / "images").stdout


def test_copies_are_left_out_again_and_pruned(folder, made):
    to = ("--kind", "text", "--to", made / "texts")
    assert " 28 added " in run("index", folder, *to).stdout
    done = run("index", folder, *to, "--dedup", "--prune")
    # more.zip comes after kitchen0.txt, and before the first text of each other topic
    copies = {"more.zip/kitchen.txt"} | {f"{topic}0.txt" for topic in TOPICS} - {"kitchen0.txt"}
    assert "4 duplicate" in done.stderr
    assert "5 pruned" in done.stderr  # these and the one that was there
    listed = run("list", made / "texts").stdout.split()
    assert len(listed) == 24
    assert copies.isdisjoint(listed)
    again = run("index", folder, *to, "--dedup", "--prune").stdout
    assert " 0 added + 0 replaced + 24 unchanged " in again


def test_what_is_ignored_or_excluded_from_now_on_is_pruned(folder, made):
    to = ("--kind", "text", "--to", made / "texts")
    run("index", folder, *to)
    done = run("index", folder, *to, "--exclude", "sea*.txt", "--exclude", "more.zip", "--prune")
    assert "11 pruned" in done.stderr
    assert "excluded" in done.stderr
    assert len(run("list", made / "texts").stdout.split()) == 18


def test_a_folder_of_texts_and_images_is_never_silently_one_of_them(folder, tmp_path):
    asked = run("index", folder, "--to", tmp_path / "c", "--dry-run")
    assert asked.exit_code == 1
    assert "got 28 image, 28 text; choose one with --kind" in asked.stderr
    assert "--to TEXTS --images-to IMAGES" in asked.stderr
    (tmp_path / "f").mkdir()
    for i in range(4):
        (tmp_path / "f" / f"{i}.txt").write_text("words of a text")
    Image.new("L", (9, 9)).save(tmp_path / "f" / "a.png")
    done = run("index", tmp_path / "f", "--to", tmp_path / "c", "--dry-run")
    (note,) = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: 4 texts and 1 image found; 1 image left out here: ")
    assert f"`hashret index {tmp_path / 'f'} --kind image --to DIR`" in note
    assert "left out 1: 1 .png (images: --images-to)" in done.stderr


def test_a_folder_where_nothing_fits_is_answered_with_what_is_there(tmp_path):
    for name in ("a.exe", "b.exe", "c.xyz", ".h"):
        (tmp_path / name).touch()
    done = run("index", tmp_path, "--to", tmp_path / "c")
    assert done.exit_code == 1
    assert re.search(r"got 2 \.exe, (1 hidden, 1 \.xyz|1 \.xyz, 1 hidden); ", done.stderr)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--kind", "image"], "--kind: expected none with --images-to"),
        (["--preset", "dense"], "--preset: expected one of texts or of images alone"),
        (["--metric", "cosine"], "--metric: expected none with --images-to"),
        (["--images-to", "c"], "--images-to: expected another collection than --to"),
        (["--recipe", "r"], "--recipe: expected none with --images-to"),
    ],
)
def test_options_of_one_collection_are_refused_for_two(
    folder, tmp_path, monkeypatch, options, says
):
    monkeypatch.chdir(tmp_path)
    done = run("index", folder, "--to", "c", "--images-to", "d", *options)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not list(tmp_path.iterdir())


def test_two_collections_need_both_kinds(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    done = run("index", tmp_path, "--to", tmp_path / "c", "--images-to", tmp_path / "d")
    assert done.exit_code == 1
    assert "--images-to: expected texts and images in" in done.stderr
    assert "got 1 text;" in done.stderr
