"""What `hashret explain` and `hashret bits` print, to a person and as JSON."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from hashret import Collection, Item
from hashret.insight.explain import explain
from hashret.insight.meaning.bits import bits
from indexer import Indexer
from indexer.cli import main
from tests.corpora import topic_items
from tests.insight.conftest import made, pictures


def run(*args, code=0, stdin=None):
    done = CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def path(folders):
    return folders("text", "dense")


def test_a_person_reads_sentences(path, texts):
    told = run("explain", path, "the orbit of a planet", "space-002").output
    found = explain(texts, payload="the orbit of a planet", item_id="space-002")
    assert told.startswith(f"{len(found.agree)} of 16 bits agree; with an item at random, ")
    for one in found.query.parts:
        (line,) = [
            line for line in told.split("item,")[0].splitlines() if f'  "{one.part}"' in line
        ]
        assert str(len(found.agree) - one.effect) in line.split()
        assert f"{round(100 * one.pull)}%" in line
    query, item, differ = (
        line[8:].replace(" ", "*") for line in told.split("\n\n")[1].splitlines()
    )
    assert query.replace("*", "") == "".join(map(str, _bits(found.query.code)))
    assert item.replace("*", "") == "".join(map(str, _bits(found.item.code)))
    assert differ.count("^") == found.distance


def _bits(code):
    return np.unpackbits(np.frombuffer(bytes.fromhex(code), np.uint8), bitorder="little").tolist()


def test_every_way_to_give_the_query_and_json(path, texts, tmp_path):
    text = "the orbit of a planet"
    (tmp_path / "question.txt").write_text(text)
    expected = explain(texts, payload=text, item_id="space-002").to_json()
    for given in ((text,), ("--file", tmp_path / "question.txt")):
        assert json.loads(run("explain", path, *given, "space-002", "--json").stdout) == expected
    assert (
        json.loads(run("explain", path, "-", "space-002", "--json", stdin=text).stdout) == expected
    )
    by_id = explain(texts, query_id="sea-000", item_id="sea-004").to_json()
    assert json.loads(run("explain", path, "--id", "sea-000", "sea-004", "--json").stdout) == by_id


@pytest.mark.parametrize(
    "given",
    [(), ("sea-000",), ("a", "b", "c"), ("--id", "sea-000"), ("--id", "sea-000", "x", "sea-004")],
)
def test_one_query_and_one_item(path, given):
    assert "Usage: hashret explain" in run("explain", path, *given, code=2).output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("orbit", "nobody"), "hashret: id: expected one of the 40 items"),
        (("xyzzy", "sea-000"), "no word that the collection's vocabulary knows"),
        (("--id", "nobody", "sea-000"), "got 'nobody'"),
    ],
)
def test_errors_are_one_line(path, given, said):
    told = run("explain", path, *given, code=1).output
    assert said in told
    assert len(told.splitlines()) == 1


def test_the_only_known_word_and_control_characters(path):
    told = run("explain", path, "zyzzyva\x1b[31m orbit", "space-002").output
    assert 'The model knows nothing else in the query: without "orbit" it has no code.' in told
    assert "\x1b" not in told


def test_words_never_reach_the_terminal_raw(tmp_path):
    items = [Item(one.id, f"{one.payload} evil\x1b[2Jword\u202eword") for one in topic_items(40)]
    made(tmp_path / "c", "text", "dense", items)
    told = run("explain", tmp_path / "c", "--id", "sea-000", "sea-004").output
    told += run("bits", tmp_path / "c", "--bit", 0).output + run("bits", tmp_path / "c").output
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_a_picture_is_a_grid_of_places(folders, tmp_path):
    path = folders("image", "patches")
    told = run("explain", path, "--id", "0.png", "4.png").output
    item = told.split("\nitem: ")[1].splitlines()
    assert len([line for line in item if line.count("%") == 6]) == 6
    Image.fromarray(pictures(1)[0]).save(tmp_path / "p.png")
    assert run("explain", path, "--file", tmp_path / "p.png", "4.png").output == told


def test_of_an_item_that_is_not_kept_the_file_can_be_given(tmp_path):
    files = {f"{i}.png": one for i, one in enumerate(pictures(24))}
    for name, one in files.items():
        Image.fromarray(one).save(tmp_path / name)
    items = [Item(name, tmp_path / name) for name in files]
    path = made(tmp_path / "c", "image", "dense", items)
    query = ("explain", path, "--file", tmp_path / "0.png", "4.png")
    told = run(*query).output
    assert (
        "item: no image is kept; index the source again with --retrain --store-images, or" in told
    )
    assert "\nquery: how much each place" in told
    assert "\nitem: how much each place" in run(*query, "--item-file", tmp_path / "4.png").output
    assert (
        "expected what '4.png' was made of"
        in run(*query, "--item-file", tmp_path / "0.png", code=1).output
    )
    listed = run("bits", path)
    assert "what turns a bit is not known: no image is kept" in listed.stderr


def test_a_line_a_bit_and_one_in_detail(path, texts):
    found = bits(texts)
    lines = run("bits", path).stdout.split("\n\n")[1].splitlines()
    rows = [line for line in lines if line[:3].strip().isdecimal()]
    assert [int(line[:3]) for line in rows] == list(range(16))
    assert str(found.bits[5].for_one[0].part) in rows[5]
    detail = run("bits", path, "--bit", 5).stdout
    assert detail.startswith(f"bit 5 is 1 in {found.bits[5].ones:.0%} of 40 items.")
    for one in found.bits[5].surest_one:
        assert one.id in detail
    assert json.loads(run("bits", path, "--json").stdout) == found.to_json()
    assert json.loads(run("bits", path, "--bit", 5, "--json").stdout) == found.to_json(5)
    assert "--bit: expected 0 to 15, got 16" in run("bits", path, "--bit", 16, code=2).output


def test_an_earlier_commit(tmp_path):
    path = made(tmp_path / "c", "text", "dense", topic_items(40))
    with Indexer(path) as indexer:
        indexer.remove(["sea-000"])
        indexer.commit()
    run("explain", path, "orbit", "sea-000", code=1)
    run("explain", path, "orbit", "sea-000", "--commit", 1)
    with Collection.open(path, commit=1) as first:
        expected = bits(first).to_json()
    assert json.loads(run("bits", path, "--commit", 1, "--json").stdout) == expected
