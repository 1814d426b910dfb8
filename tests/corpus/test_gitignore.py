"""Ignore files against Git itself, and their patterns against time."""

import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.corpus.folders import gitignore

NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="Git is the oracle")
NAMES = st.sampled_from(["a", "b", "ab", "a.txt", "b.log", "x y", "!a", "#a", "[a]", "A"])
PIECES = ["a", "b", "*", "**", "?", "/", "/", "!", "#", "[ab]", "[!a]", "[^b]", "[a-c]", "[]a]"]
PIECES += ["[[:alpha:]]", "[[:upper:]]", "[", "\\", "\\*", "\\[", " ", ".txt", ".log", "x y", "-"]
LINES = st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join), max_size=6)
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=8)


@NEEDS_GIT
@settings(max_examples=60)
@given(lines=LINES, paths=PATHS)
def test_a_pattern_decides_as_in_git(lines, paths):
    """Each path by the pattern that matches it or a folder above it, for Git never goes deeper."""
    given = list(gitignore.patterns(lines))
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        subprocess.run(["git", "init", "-q", root], check=True)
        (root / ".gitignore").write_text("\n".join(lines))
        for path in paths:
            with suppress(FileExistsError, NotADirectoryError):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).touch()
        inside = [p for p in root.rglob("*") if ".git" not in p.parts and p.name != ".gitignore"]
        truth = decided_by_git(root, [p.relative_to(root).as_posix() for p in inside])
        for path in inside:
            name = path.relative_to(root).as_posix()
            assert _of(given, name, path.is_dir()) == truth[name], (name, lines)


@NEEDS_GIT
@pytest.mark.parametrize(
    "source",
    [
        *("a/**", "/a/**", "a/**/", "**/a/**", "**/b", "a/**/b", "/**/b", "**", "**/", "/**"),
        *("a/*/b", "a", "/a", "a/", "/b/", "b/a", "*/a", "!a", "a**b", "a/b**", "**a", "?"),
        *("[!b]", "a//b", "/", "//a", "a/./b", "./a", "../a", "a/b/", "[a", "a]", "[a]"),
        *("\\a", "a\\", "**/**/b", "***/b", "a/***", "a/****/b", "***", "/*a", "a/?*/"),
    ],
)
def test_each_sort_of_pattern_decides_as_in_git(tree, source):
    """Of folders too: a pattern for all that is in a folder leaves the folder itself."""
    (tree / ".gitignore").write_text(f"{source}\n")
    names = [p.relative_to(tree).as_posix() for p in tree.rglob("*") if ".git" not in str(p)]
    truth = decided_by_git(tree, names)
    given = list(gitignore.patterns([source]))
    assert {name: _of(given, name, (tree / name).is_dir()) for name in names} == truth


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A repository with folders and files called a, b and ab, three deep."""
    root = tmp_path_factory.mktemp("tree")
    subprocess.run(["git", "init", "-q", root], check=True)
    for folder in ("a/a", "a/b", "b/a", "b/b", "ab"):
        (root / folder).mkdir(parents=True)
        (root / folder / "ab").touch()
    (root / "a" / "b" / "a").mkdir()
    (root / "a" / "b" / "a" / "b").touch()
    return root


def decided_by_git(root, paths):
    """Path -> the pattern by which Git decides on it, "" if none matches."""
    command = ["git", "-C", root, "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin"]
    given = "".join(f"{path}\0" for path in paths)
    said = subprocess.run(command, input=given, capture_output=True, text=True).stdout.split("\0")
    return {said[i + 3]: said[i + 2] for i in range(0, len(said) - 1, 4)}


def _of(given, path, is_folder):
    """The source of the pattern that decides on a path: the first of its folders that is left out
    decides for all in it."""
    names = path.split("/")
    found = None
    for n in range(1, len(names) + 1):
        found = gitignore.decided(given, names[:n], is_folder=is_folder or n < len(names))
        if found is not None and not found.negated:
            break
    return "" if found is None else found.source


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a*a*a*a*a*a*a*a*b", "a" * 255),
        ("**/a/**/a/**/a/**/a/**/b", "a/" * 2000),
        ("/" + "**/*a*a*a*/" * 20 + "b", "/".join(["a" * 255] * 16)),
        ("[" * 5000, "a" * 255),
        ("*" * 5000 + "b", "a" * 255),
        ("?*" * 100 + "b", "a" * 255),
    ],
)
def test_no_pattern_takes_long(pattern, path):
    began = time.process_time()
    (one,) = gitignore.patterns([pattern])
    assert not one.matches(path.split("/"), is_folder=False)
    assert time.process_time() - began < 1


def test_lines_of_windows_and_spaces_at_the_end():
    found = [one.source for one in gitignore.patterns(["a \r\n", "b\\ \n", "", " ", "# c", "\\#d"])]
    assert found == ["a", "b\\ ", "\\#d"]
