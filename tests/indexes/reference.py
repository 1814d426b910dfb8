"""Code families and an independent answer to every question, in plain Python over unpacked bits."""

import numpy as np
from hypothesis import strategies as st

from hashret.codes import Codes, Neighbors

FAMILIES = ("uniform", "clustered", "duplicates", "all-equal")
WIDTHS = (8, 16, 24, 32, 64, 72, 128, 512)


def make_codes(family: str, n: int, n_bits: int, rng: np.random.Generator) -> np.ndarray:
    """(n, n_bits) bits of a family; two calls with one seed share centres."""
    centres = np.random.default_rng(n_bits).random((3, n_bits)) < 0.5
    if family == "uniform":
        return rng.random((n, n_bits)) < 0.5
    if family == "all-equal":
        return np.repeat(centres[:1], n, axis=0)
    noise = {"clustered": 0.08, "duplicates": 0.004}[family]
    return centres[rng.integers(0, 3, n)] ^ (rng.random((n, n_bits)) < noise)


def around(n: int, n_bits: int, n_centres: int, noise: float, seed: int = 0) -> Codes:
    """Codes about centres that are the same for every seed, as a trained model's are."""
    centres = np.random.default_rng(1).random((n_centres, n_bits)) < 0.5
    rng = np.random.default_rng(seed)
    flips = rng.random((n, n_bits)) < noise
    return Codes.pack(centres[rng.integers(0, n_centres, n)] ^ flips)


@st.composite
def codes_and_queries(draw: st.DrawFn, max_n: int = 300) -> tuple[Codes, Codes]:
    """Codes of any family and queries, some of them from among the codes."""
    n_bits = draw(st.sampled_from(WIDTHS))
    family = draw(st.sampled_from(FAMILIES))
    n = draw(st.one_of(st.integers(0, 3), st.integers(0, max_n)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = make_codes(family, n, n_bits, rng)
    queries = make_codes(family, draw(st.integers(0, 4)), n_bits, rng)
    if n:
        queries = np.concatenate([queries, codes[: draw(st.integers(0, 2))]])
    return Codes.pack(codes), Codes.pack(queries)


def ranked(codes: Codes, query: np.ndarray) -> list[tuple[int, int]]:
    """All (distance, row), nearest first, for one query's bits."""
    stored = np.unpackbits(codes.packed, axis=1)
    asked = np.unpackbits(query)
    return sorted((int((row != asked).sum()), i) for i, row in enumerate(stored))


def nearest(codes: Codes, queries: Codes, k: int, ties: bool) -> list[list[tuple[int, int]]]:
    """The k nearest (distance, row) of each query, with all ties at the k-th if asked."""
    answers = []
    for query in queries.packed:
        order = ranked(codes, query)
        last = order[k - 1][0] if ties and len(order) >= k else -1
        answers.append(order[:k] + [pair for pair in order[k:] if pair[0] == last])
    return answers


def inside(codes: Codes, queries: Codes, radii: list[int]) -> list[list[tuple[int, int]]]:
    """All (distance, row) within each query's radius."""
    return [
        [pair for pair in ranked(codes, query) if pair[0] <= radius]
        for query, radius in zip(queries.packed, radii, strict=True)
    ]


def as_lists(found: Neighbors) -> list[list[tuple[int, int]]]:
    """An index's answer in the form of the reference."""
    return [
        list(zip(distances.tolist(), rows.tolist(), strict=True))
        for rows, distances in (found[query] for query in range(len(found)))
    ]
