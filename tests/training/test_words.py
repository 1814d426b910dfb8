import numpy as np
import pytest

from indexer.training.neighbours.term_weighting import l1_normalised, l2_normalised, rarity_weighted
from tests.models.encoders import as_sparse

DENSE = np.array([[1, 2, 0], [0, 2, 0], [3, 2, 0], [0, 0, 0]], np.float32)


def test_rarity_is_the_logarithm_of_how_few_rows_have_a_feature():
    weighted = rarity_weighted(as_sparse(DENSE)).to_dense()
    rarity = [np.log(5 / 2), np.log(5 / 3), 0.0]
    assert weighted == pytest.approx(DENSE * rarity)


def test_a_feature_that_every_row_has_still_counts_a_little():
    rows = as_sparse(np.ones((2, 3), np.float32))
    assert (rarity_weighted(rows).values > 0).all()


def test_normalised_rows_have_length_one_and_empty_ones_stay_empty():
    assert l1_normalised(as_sparse(DENSE)).to_dense().sum(axis=1) == pytest.approx([1, 1, 1, 0])
    lengths = np.linalg.norm(l2_normalised(as_sparse(DENSE)).to_dense(), axis=1)
    assert lengths == pytest.approx([1, 1, 1, 0])
