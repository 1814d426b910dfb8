"""What a run shows of the skipped: the worst first, and numbers that add up."""

import re

from hypothesis import given
from hypothesis import strategies as st

from indexer.cli.console import show_counts
from indexer.corpus import Skipped
from indexer.ingest.counts import Tally

CLASSES = ("hidden", "other-type", "bad-csv", "too-large", "not-text")


@given(st.lists(st.sampled_from(CLASSES), max_size=60))
def test_what_is_shown_and_what_is_not_are_all(classes):
    tally = Tally()
    for i, error_class in enumerate(classes):
        tally.skip(Skipped(str(i), error_class, error_class))
    examples = [one.error_class for one in tally.examples()]
    assert len(examples) == min(10, len(classes))
    mended = [name not in ("hidden", "other-type") for name in examples]
    assert mended == sorted(mended, reverse=True)
    if any(name not in ("hidden", "other-type") for name in classes):
        grave = {name: n for name, n in tally.skipped.items() if name in CLASSES[2:]}
        assert grave[examples[0]] == max(grave.values())


def test_one_bad_row_is_shown_among_many_hidden_files(capsys):
    tally = Tally(added=5)
    for i in range(190):
        tally.skip(Skipped(f".{i}", "a hidden file", "hidden"))
    tally.skip(Skipped("t.csv:7", "line 7 is lost", "bad-csv"))
    show_counts(tally)
    shown = capsys.readouterr()
    assert shown.out == "seen 196 = 5 added + 0 replaced + 0 unchanged + 191 skipped\n"
    first, *others, last = shown.err.splitlines()
    assert first == "skipped t.csv:7: line 7 is lost"
    assert len(others) == 9
    assert re.match(r"\.\.\. and 181 more \(181 hidden\)", last)
