"""What is left out of a source by its name or its content, and how that is reported."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.errors import InputError
from hashret.items import Item
from indexer import corpus
from indexer.corpus import Reading, Skipped, files
from indexer.corpus.folders.walk import walk
from indexer.corpus.leaving_out import Rules, kept

LINES = st.sampled_from(
    [
        *("a", "b/", "*.txt", "!a.txt", "/a", "a/b", "!b", "**/a.txt", "b/**", "*", "!*/"),
        *("!/a/*", "?.txt", "/a.txt", "b/a.txt", "!/b", "a/**/b.txt", "!a/b/", "/*/*.txt"),
    ]
)
FOLDERS = ["", "a/", "b/", "a/a/", "a/b/", "b/a/", "a/b/a/"]
TREE = [folder + name for folder in FOLDERS for name in ("a.txt", "b.txt", "c")]
IGNORED = st.dictionaries(
    st.sampled_from(FOLDERS), st.lists(LINES, min_size=1, max_size=4), max_size=4
)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Documents are read in this process, since starting workers takes longest."""
    monkeypatch.setattr("hashret.workers.pool.AVAILABLE", False)


def make(root, tree):
    for name, content in tree.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def seen(root, **how):
    """The ids of the files that are read, and the class of each entry that is left out."""
    entries = list(walk(root, Rules.of(Reading(**how))))
    read = [x.relative for x in entries if isinstance(x, files.Entry)]
    return read, {x.id: x.error_class for x in entries if isinstance(x, Skipped)}


@pytest.mark.skipif(shutil.which("git") is None, reason="Git is the oracle")
@settings(max_examples=40, deadline=None)
@given(ignored=IGNORED)
def test_the_files_that_are_read_are_those_that_git_sees(ignored):
    with tempfile.TemporaryDirectory() as made:
        root = make(Path(made), dict.fromkeys(TREE, "words"))
        for folder, lines in ignored.items():
            (root / folder / ".gitignore").write_text("\n".join(lines))
        subprocess.run(["git", "init", "-q", root], check=True)
        command = ["git", "-C", root, "ls-files", "-z", "--others", "--exclude-standard"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        truth = sorted(name for name in said.split("\0") if name and ".gitignore" not in name)
        assert sorted(seen(root)[0]) == truth
        assert sorted(seen(root, ignore_files=False)[0]) == sorted(TREE)


def test_an_ignored_folder_is_one_entry_and_hashretignore_has_the_last_word(tmp_path):
    tree = dict.fromkeys(["build/a.txt", "build/b/c.txt", "keep.log", "x.log", "docs/y.log"], "")
    make(tmp_path, tree | {".gitignore": "build/\n*.log\n", ".hashretignore": "!keep.log\n"})
    make(tmp_path, {"docs/.hashretignore": "!y.log\n"})
    read, left = seen(tmp_path)
    assert read == ["docs/y.log", "keep.log"]
    assert left == {
        ".gitignore": "hidden",
        ".hashretignore": "hidden",
        "build": "ignored",
        "docs/.hashretignore": "hidden",
        "x.log": "ignored",
    }


def test_the_command_line_counts_more_than_ignore_files(tmp_path):
    make(
        tmp_path, dict.fromkeys(["a.txt", "b.md", "c/d.txt", "c/e.md"], "") | {".gitignore": "*.md"}
    )
    assert seen(tmp_path, exclude=("!b.md", "/c"))[0] == ["a.txt", "b.md"]
    assert seen(tmp_path, include=("*.md",))[0] == []
    assert seen(tmp_path, include=("*.md",), ignore_files=False)[0] == ["b.md", "c/e.md"]
    assert seen(tmp_path, include=("c", "!*.md"), ignore_files=False)[0] == ["c/d.txt"]
    assert seen(tmp_path, include=("*.txt",))[1]["b.md"] == "ignored"
    assert seen(tmp_path, include=("*.md",), ignore_files=False)[1]["a.txt"] == "excluded"


def test_hidden_files_are_read_when_asked_but_never_those_of_git(tmp_path):
    make(tmp_path, dict.fromkeys([".a.txt", ".b/c.txt", ".git/d.txt", "e/.git"], ""))
    assert seen(tmp_path)[0] == []
    read, left = seen(tmp_path, hidden=True)
    assert read == [".a.txt", ".b/c.txt"]
    assert left == {".git": "hidden", "e/.git": "hidden"}


def test_ignore_files_that_can_not_be_used_are_named(tmp_path):
    make(tmp_path, {"a/x.txt": "", "b/x.txt": "", "c/.gitignore/x.txt": "", "d/x.txt": ""})
    (tmp_path / "a" / ".gitignore").symlink_to("../b/x.txt")
    (tmp_path / "b" / ".gitignore").write_text("*\n" * 200_000)
    (tmp_path / "d" / ".gitignore").write_bytes(b"\xef\xbb\xbf*.txt\n\xff\n")
    read, left = seen(tmp_path)
    assert read == ["a/x.txt", "b/x.txt"]
    assert left == {
        "a/.gitignore": "symlink",
        "b/.gitignore": "too-large",
        "c/.gitignore": "hidden",
        "d/.gitignore": "hidden",
        "d/x.txt": "ignored",
    }


def test_options_that_say_nothing_about_the_sources_are_refused(tmp_path):
    make(tmp_path, {"a.txt": "words", "b.png": "x"})
    for how in ({"exclude": ("*",)}, {"include": ("*",)}, {"hidden": True}):
        with pytest.raises(InputError, match="expected a folder or an archive"):
            corpus.read([tmp_path / "a.txt"], "text", Reading(**how))
    with pytest.raises(InputError, match="--min-words: expected texts"):
        corpus.read([tmp_path], "image", Reading(min_words=1))
    for bad in ("", "  ", "!", "/"):
        with pytest.raises(InputError, match="--exclude: expected a pattern"):
            list(corpus.read([tmp_path], "text", Reading(exclude=(bad,))))


@pytest.mark.parametrize(
    ("text", "n"),
    [("a b c", 3), ("one", 1), ("...", 0), ("你好世界", 3), ("word " * 99_999, 99_999)],
)
def test_near_empty_texts_have_fewer_words_than_asked_for(text, n):
    item = Item("a", text)
    assert list(kept([item], "text", Reading(min_words=n))) == [item]
    (left,) = kept([item], "text", Reading(min_words=n + 1))
    assert (left.error_class, left.reason) == (
        "near-empty",
        f"expected at least {n + 1} words, got {n}",
    )


@given(st.lists(st.sampled_from(["a", "b", "c", "A", "a "]), max_size=12))
def test_of_copies_the_first_stays(payloads):
    items = [Item(str(i), text) for i, text in enumerate(payloads)]
    firsts = {text: str(i) for i, text in reversed(list(enumerate(payloads)))}
    for _ in range(2):
        found = list(kept(items, "text", Reading(dedup=True)))
        assert [x.id for x in found if isinstance(x, Item)] == sorted(firsts.values(), key=int)
        for one in found:
            if isinstance(one, Skipped):
                assert one.reason == f"the same content as {firsts[payloads[int(one.id)]]}"


def test_images_are_copies_if_their_files_have_the_same_bytes(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / "b.jpg").write_bytes(b"1")
    (tmp_path / "c.png").write_bytes(b"2")
    items = [Item(name, tmp_path / name) for name in ("a.png", "b.jpg", "c.png", "gone.png")]
    items.append(Item("d", b"2"))
    left = {x.id: x.reason for x in kept(items, "image", Reading(dedup=True)) if type(x) is Skipped}
    assert left == {"b.jpg": "the same content as a.png", "d": "the same content as c.png"}
