import json
import sysconfig

import pytest

from hashret.errors import EmptyCorpusError
from indexer.cli.demo_corpus import read_docstrings


@pytest.fixture(scope="module")
def docstrings():
    return {item.id: item for item in read_docstrings()}


def test_there_are_thousands_and_each_of_eight_words(docstrings):
    assert len(docstrings) > 4000
    assert min(len(item.payload.split()) for item in docstrings.values()) >= 8
    assert {item.metadata["kind"] for item in docstrings.values()} == {
        *("module", "class", "function", "method"),
    }
    assert not any(item_id.startswith(("test.", "idlelib", "lib2to3")) for item_id in docstrings)


def test_a_docstring_as_python_itself_shows_it(docstrings):
    item = docstrings["json.dumps"]
    assert item.payload == json.dumps.__doc__.strip().replace("\n    ", "\n")
    assert item.metadata == {"module": "json", "kind": "function", "name": "dumps"}
    assert docstrings["json"].metadata == {"module": "json", "kind": "module", "name": "json"}
    method = docstrings["json.decoder.JSONDecoder.raw_decode"].metadata
    assert method == {"module": "json.decoder", "kind": "method", "name": "raw_decode"}


def test_sources_are_read_and_never_run(tmp_path, monkeypatch):
    (tmp_path / "package" / "site-packages").mkdir(parents=True)
    words = "a b c d e f g h"
    (tmp_path / "package" / "__init__.py").write_text(
        f'"""{words}"""\nraise SystemExit\nif 1:\n def f():\n  """{words}"""\n'
        f'else:\n def f():\n  """{words}"""\n  def inner():\n   """{words}"""\n'
    )
    (tmp_path / "broken.py").write_text(f'"""{words}"""\n"""')
    (tmp_path / "short.py").write_text('"""Seven words are not enough for this."""')
    (tmp_path / "half.py").write_text(f'"""{words} \\ud800 \\d"""')
    (tmp_path / "package" / "site-packages" / "other.py").write_text(f'"""{words}"""')
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    found = [(item.id, item.payload) for item in read_docstrings()]
    assert found == [
        ("half", words + " ? \\d"),
        ("package", words),
        ("package.f", words),
        ("package.f#2", words),
    ]


def test_a_python_without_its_sources_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(EmptyCorpusError, match="Python sources"):
        next(read_docstrings())
