"""Text of strangers is worked on in time that grows with its length, a piece at a time."""

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashret.features.texts import featurizer as text_features
from hashret.features.texts import tokens
from hashret.features.texts.featurizer import pieces
from hashret.unicode_text import MAX_MARKS, many_marks, stream_safe

# Marks of several classes, the two letters that become marks, and marks of class 0 that become others.
MARKS = "\u0300\u0315\u0327\u0345\u3099\u0651\u0f71\u0f73\u0344\uff9e\uff9f\u20e3"


def longest_run(text):
    """The most non-starters in a row, once the text is decomposed: what sorting takes."""
    longest = run = 0
    for c in unicodedata.normalize("NFKD", text):
        run = run + 1 if unicodedata.combining(c) else 0
        longest = max(longest, run)
    return longest


@example("a" + "\u0315\u0300" * 100)
@given(st.text(st.sampled_from("a か" + MARKS) | st.characters(), max_size=200))
def test_runs_of_marks_are_capped_and_nothing_else_is_changed(text):
    safe = stream_safe(text)
    assert longest_run(safe) <= 2 * MAX_MARKS  # no mark is more than two
    assert safe.replace("\u034f", "") == text.replace("\u034f", "")
    assert (many_marks(text) is None) == (safe == text)


def test_marks_as_languages_have_them_are_left_alone():
    text = "a" + "\u0315\u0300" * (MAX_MARKS // 2) + "b\u0301"
    assert stream_safe(text) == text
    assert many_marks(text) is None
    assert many_marks("ab" + text + "\u0300" * MAX_MARKS) == len("ab" + text) - 1


def test_every_character_that_is_sorted_counts_as_a_mark():
    sorted_ones = [
        c
        for c in map(chr, range(sys.maxunicode + 1))
        if unicodedata.combining(unicodedata.normalize("NFKD", c)[0])
    ]
    assert len(sorted_ones) > 900
    assert [c for c in sorted_ones if many_marks(c * (MAX_MARKS + 1)) is None] == []


@given(st.lists(st.text("ab\u0301一か", max_size=7), max_size=60), st.sampled_from(" \n。"))
def test_pieces_are_the_text_and_have_its_words(words, separator):
    text = separator.join(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_features, "PIECE", 10)
        cut = list(pieces(text))
    assert "".join(cut) == text
    assert max(map(len, cut)) <= 10
    apart = [word for piece in cut for word in tokens.words(piece)]
    assert sorted(apart) == sorted(tokens.words(text))


def test_a_run_without_an_end_is_cut_too(monkeypatch):
    monkeypatch.setattr(text_features, "PIECE", 10)
    assert [len(piece) for piece in pieces("é" * 95 + " end")] == [10] * 9 + [9]


# Each of a size that took minutes when its time grew with the square of it.
HOSTILE = {
    "marks": "TextFeaturizer.fit(['ship'], TextSpec()).counts(['a' + '\\u0315\\u0300' * 500_000])",
    "marks of class 0": "TextFeaturizer.fit(['a' + '\\u0f73' * 500_000, 'bc'], TextSpec())",
    "marks by the former rule": "TextFeaturizer.fit(['a' + '\\u0f73' * 500_000, 'bc'], TextSpec(rule=1))",
    "dots and signs": "TextFeaturizer.fit(['a1-' * 300_000, 'é.' * 300_000, 'c++' * 300_000], TextSpec())",
    "words that are long": "TextFeaturizer.fit(['1-2--' + 'a' * 60_000 + '--1-2', '1-2,#' + 'é' * 60_000 + ',1-2'], TextSpec())",
    "joined emoji": "TextFeaturizer.fit(['👩\\u200d' * 300_000, '1\\ufe0f' * 300_000, 'bc'], TextSpec())",
    "a name of marks": "where('a' + '\\u0315\\u0300' * 49_000 + ' == 1')",
    "keys within keys": "where(' and '.join(['a' + '.b' * 200 + ' == 1'] * 240))",
    "a path": "list(read_table(table('{\"path\": \"' + 'a/' * 500_000 + '\"}'), 'text', Reading()))",
}
SETTING = """
import resource, sys, tempfile
from contextlib import suppress
from pathlib import Path
from hashret.errors import WhereError
from hashret.features.texts.featurizer import TextFeaturizer
from hashret.specs import TextSpec
from hashret.where import parse
from indexer.corpus.reading import Reading
from indexer.corpus.tables.table import read_table

def where(expression):
    with suppress(WhereError):
        parse(expression)

def table(line):
    path = Path(sys.argv[1], "rows.jsonl")
    path.write_text(line)
    return path

resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_seconds(name, tmp_path):
    run = [sys.executable, "-c", SETTING + HOSTILE[name], str(tmp_path)]
    assert subprocess.run(run, check=False).returncode == 0  # -24: it ran out of its time
