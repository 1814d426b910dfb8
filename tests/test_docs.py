"""The documentation says what is so: its examples run, its commands exist."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from indexer.cli import main
from indexer.corpus import ERROR_CLASSES

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BEGINNING = [
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("five-minutes.md", "how-to.md")
]


def test_the_library_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```pycon\n(.*?)```", page, re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "library.md", None, 0)
    assert len(test.examples) > 20
    failed, _ = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(test)
    assert failed == 0


@pytest.mark.parametrize("verb", sorted(main.commands))
def test_every_verb_and_option_is_in_the_guide(verb):
    assert f"hashret {verb}" in GUIDE
    for parameter in main.commands[verb].params:
        if isinstance(parameter, click.Option):
            assert max(parameter.opts, key=len) in GUIDE, parameter.opts


def test_every_class_of_refusal_is_in_the_guide():
    listed = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", GUIDE, re.MULTILINE))
    assert {name: listed.get(name) for name in ERROR_CLASSES} == ERROR_CLASSES


def test_every_command_in_the_documentation_exists():
    shown = set()
    for text in (GUIDE, README, *BEGINNING):
        for block in re.findall(r"```(?:console|sh|text)\n(.*?)```", text, re.DOTALL):
            for line in block.splitlines():
                found = re.match(r"(?:\$ )?(?:\.venv/bin/)?hashret (\w+)(.*)", line)
                if found:
                    shown.add(found[1])
                    options = main.commands[found[1]].params
                    known = {o for p in options for o in (*p.opts, *p.secondary_opts)}
                    said = found[2].partition(" | ")[0]
                    for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", said):
                        assert option in known, line
    assert shown == set(main.commands)


def test_links_between_pages_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_site_builds_and_asks_no_other_host(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", tmp_path / "site"]
    surroundings = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=surroundings)
    assert done.returncode == 0, done.stdout + done.stderr  # a link that leads nowhere
    pages = list((tmp_path / "site").rglob("*.html"))
    assert {"index.html", "guide.html", "how-to.html", "ARCHITECTURE.html"} <= {
        p.name for p in pages
    }
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(
            r"<(?:script|img|iframe|link)[^>]*?(?:src|href)=\"?(https?:[^\">\s]+)", html
        )
        assert not loaded, f"{page.name}: {loaded}"
