"""Every test of an index runs twice: with NumPy alone, and with compiled kernels."""

import pytest


@pytest.fixture(autouse=True)
def with_each(kernels):
    """By the fixture of the whole suite."""
