"""What a person reads on a terminal, and what a program reads from a pipe, in real processes."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from hashret import Collection
from hashret.cli.output import agreement_columns, order_column
from hashret.items import Hit
from hashret.outside.originals import SourceFolder, file_in
from tests.corpora import topic_items

GOLDEN = Path(__file__).parent / "golden" / "format-3" / "text"
QUERY = ["query", str(GOLDEN), "a ship in a storm", "-k", "3"]
COMMAND = [sys.executable, "-c", "from indexer.cli import main; main()"]
ESCAPE = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")
QUIET = {"NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "TTY_COMPATIBLE"}


def surroundings(**said):
    return {key: value for key, value in os.environ.items() if key not in QUIET} | said


def on_terminal(*arguments, columns=100, **said):
    """What the command writes to a terminal of that many columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    surrounding = surroundings(**({"TERM": "xterm-256color"} | said))
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=its, stderr=subprocess.PIPE, stdin=its, env=surrounding
    ) as process:
        os.close(its)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that nobody holds the other end any more
                break
            if not part:
                break
            written += part
        assert process.stderr is not None
        process.stderr.read()
    os.close(ours)
    assert process.returncode == 0
    return written.decode().replace("\r\n", "\n")


def piped(*arguments, **said):
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=surroundings(**said), check=True
    )
    return done.stdout


def test_a_pipe_gets_lines_with_tabs_and_no_escapes():
    lines = [line.split("\t") for line in piped(*QUERY, TERM="xterm").splitlines()]
    assert lines[0] == ["id", "differ", "agree", "words+codes", "text"]
    assert {len(line) for line in lines} == {5}
    with Collection.open(GOLDEN) as collection:
        hits = collection.query(QUERY[2], k=3, hybrid=True)
        for (name, differ, agree, fused, text), hit in zip(lines[1:], hits, strict=True):
            assert name == hit.id
            assert differ == f"{hit.distance}/{collection.n_bits}"
            assert agree == f"{100 - -(-100 * hit.distance // collection.n_bits)}%"
            assert fused == f"{hit.fused:.3f}"
            assert text == collection.snippets([hit], QUERY[2])[0].text
    assert "\x1b" not in piped(*QUERY)


@pytest.mark.parametrize(
    ("said", "has_colour", "has_escapes"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, True),  # bold letters stay
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(said, has_colour, has_escapes):
    written = on_terminal(*QUERY, columns=80, **said)  # which rich takes a dumb one to have
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", written)) == has_colour
    assert ("\x1b[" in written) == has_escapes
    plain = ESCAPE.sub("", written)
    assert plain == ESCAPE.sub("", on_terminal(*QUERY, columns=80))
    assert plain.split()[:3] == ["words+codes", "differ", "agree"]
    assert "\t" not in plain


def test_colours_are_forced_into_a_pipe():
    assert "\x1b[1;31mship\x1b[0m" in piped(*QUERY, FORCE_COLOR="1", TERM="xterm")


@pytest.mark.parametrize("columns", [24, 40, 63, 64, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(columns):
    written = on_terminal(*QUERY, columns=columns)
    lines = ESCAPE.sub("", written).splitlines()
    assert max(map(len, lines)) <= columns
    one = "".join("".join(lines).split())
    with Collection.open(GOLDEN) as collection:
        for hit in collection.query(QUERY[2], k=3, hybrid=True):
            assert hit.id in one
            assert f"{hit.distance}/{collection.n_bits}" in one
    marked = re.findall(r"\x1b\[1;31m(.*?)\x1b\[0m", written, re.DOTALL)
    assert {"ship"} <= set(marked) <= {"ship", "storm", "in", "a"}


def hit(distance, **more):
    return Hit("x", distance, 0.5, "00", {}, **more)


@pytest.mark.parametrize(
    ("n_bits", "distance", "differ", "agree"),
    [
        (64, 3, "3/64", "95%"),
        (64, 0, "0/64", "100%"),
        (64, 64, "64/64", "0%"),
        (512, 1, "1/512", "99%"),  # not all of them
        (8, 1, "1/8", "87%"),
        (64, -1, "-", "-"),  # found by its words
    ],
)
def test_how_far_codes_agree(n_bits, distance, differ, agree):
    columns = agreement_columns([hit(distance)], n_bits)
    assert [(one.title, one.cells) for one in columns] == [("differ", [differ]), ("agree", [agree])]


@pytest.mark.parametrize(
    ("how", "title"),
    [
        ({}, None),
        ({"hybrid": True}, "words+codes"),
        ({"rerank": 20, "rerank_by": "words"}, "words"),
        ({"rerank": 20, "rerank_by": "features"}, "alike"),
        ({"asymmetric": True}, "expected"),
    ],
)
def test_the_list_is_in_order_of_the_score_that_is_shown(how, title):
    with Collection.open(GOLDEN) as collection:
        for item in topic_items(8):
            hits = collection.query(item.payload, k=10, **how)
            column = order_column(collection, hits, by_score=how.get("asymmetric", False))
            assert (column and column.title) == title
            if column:
                shown = [float(cell.rstrip("%")) for cell in column.cells]
                assert shown == sorted(shown, reverse=True)
            else:
                assert [one.distance for one in hits] == sorted(one.distance for one in hits)


def test_an_id_links_to_its_original_inside_the_folder_that_was_indexed(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a b\x1bü.jpg").write_bytes(b"")
    (tmp_path / "secret.jpg").write_bytes(b"")
    (folder / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    gone, here = SourceFolder(str(tmp_path / "gone")), SourceFolder(str(folder), "p/")
    found = file_in(here, "p/sub/a b\x1bü.jpg")
    assert found is not None
    assert found.as_uri() == f"{folder.resolve().as_uri()}/sub/a%20b%1B%C3%BC.jpg"
    for name in (
        "p/../secret.jpg",
        "p/out.jpg",
        "sub/a b\x1bü.jpg",
        "p/sub",
        "p/",
        "p/a\0",
        "p//etc/passwd",
        str(tmp_path / "secret.jpg"),
    ):
        assert file_in(here, name) is None, name
        assert file_in(gone, name) is None, name
