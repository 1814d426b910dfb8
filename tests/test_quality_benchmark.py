"""What the benchmark of quality measures: its options, its short texts, and its stop list."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import quality
from benchmarks.datasets import subject_of
from benchmarks.features import FeatureSet
from tests.models.encoders import as_sparse

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("seeds", ["0", "-1", "two"])
def test_a_number_of_seeds_by_which_nothing_is_measured_is_refused(seeds):
    command = [sys.executable, "-m", "benchmarks.quality", f"--seeds={seeds}", "--sets", ""]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert f"--seeds: expected at least 1, got '{seeds}'" in told.stderr


@pytest.mark.parametrize(
    ("given", "seeds"), [([], 3), (["--quick"], 1), (["--quick", "--seeds", "2"], 2)]
)
def test_a_sample_is_measured_with_one_seed_unless_more_are_asked_for(monkeypatch, given, seeds):
    monkeypatch.setattr(sys, "argv", ["quality", *given])
    assert quality._arguments().seeds == seeds


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("From: a@b.c\nSubject: Re: RE: An old car\nLines: 3\n\ntext", "An old car"),
        ("subject:   wanted: a re:make  \n\nSubject: another", "wanted: a re:make"),
        ("From: a@b.c\n\nThe Subject: is not at the start", ""),
        ("Subject:\nLines: 3", ""),
    ],
)
def test_a_title_is_the_subject_line_of_a_post(text, subject):
    assert subject_of(text) == subject


def test_a_stop_list_takes_the_weight_of_its_words_and_leaves_the_others():
    dense = np.array([[0.6, 0.8, 0.0], [0.0, 1.0, 0.0]], np.float32)
    rows, is_stop_word = as_sparse(dense), np.array([False, True, False])
    features = FeatureSet(rows, rows, np.ones(2, bool), None, 0.0, is_stop_word)
    listed = features.without_stop_words()
    assert (listed.database.to_dense() == dense * [1, 0, 1]).all()
    assert (listed.queries.to_dense() == dense * [1, 0, 1]).all()
    with pytest.raises(TypeError, match="expected those of texts"):
        FeatureSet(dense, dense, np.ones(2, bool), None, 0.0).without_stop_words()
