"""What confirms that items with near codes are copies? Their looks, their texts, their vectors.

Codes alone do not: the largest bucket of a collection of photographs held seven different pianos.

- Images: the distance of their looks, relative to how near unrelated pictures are to each of the
  two. For one of many white pages or pianos that is much nearer than for a landscape. (The local
  scaling of Zelnik-Manor and Perona, "Self-tuning spectral clustering", NIPS 2004.)
- Texts: the share of their shingles, three words in a row, that both have (Broder, "On the
  resemblance and containment of documents", 1997).
- Texts that are not kept, vectors and sequences: the cosine of their features as they are compared,
  or their distance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b

import numpy as np

from hashret.features.texts.featurizer import pieces
from hashret.features.texts.tokens import words
from hashret.insight.near_pairs import Found, Likeness
from hashret.sparse import Features, SparseRows, by_layout, to_scipy

#: Looks at most so far apart are alike, in units of the distance of unrelated pictures. Chosen on
#: 1,500 photographs and 5,250 copies (benchmarks/duplicates.py): .02 more, and of hundred copies
#: found one more is wrong; .02 less, and of hundred cropped by a fifth four more are missed.
_LOOKS = 0.46
#: The same of the grey parts of looks alone, which find bright pictures whose lights are clipped;
#: and of vectors whose length counts.
_GREY = 0.34
#: The same of grey parts that are mirrored or turned: of the picture itself they differ by nothing,
#: of one picture in two hundred by less than this from another one.
_TURNED = 0.2
#: The same of grey parts that are cropped by a fifth, which are known only nearly. Half of the
#: copies cropped by so much are found by it, and one photograph in a thousand wrongly.
_CROPPED, _CROP = 0.42, 0.2
#: How far two members of one group may be apart: as unrelated pictures are.
_IN_GROUP = 1.0
#: Unrelated pictures are those beyond the nearest hundredth of a sample, or beyond its fifth.
_SAMPLE, _SHARE, _LEAST = 2_000, 0.01, 5
#: Shares of common shingles, and cosines, of two that are alike.
_SHINGLES, _COSINE = 0.5, 0.95
_WORDS = 3  # words in a row that make a shingle
_LOW = 32  # dimensions that are compared first, in which distances are at most the true ones
_ROUNDING = 1e-5  # share of the squares that cancel by which a product in float32 may err
_MOST_SHINGLES = 1_024  # of one text that are looked at: those with the least digests
#: Least scales: of looks whose model has measured no distance of copies, and of grey parts.
_LEAST_SCALE, _LEAST_GREY = 0.5, 0.12


class Near:
    """Rows of numbers that are alike where their distance is small; see `Likeness`.

    A pair is alike up to `link` times the geometric mean of its two `scales`. A row that is not
    finite is like none.
    """

    within_group = 1.0

    def __init__(self, rows: np.ndarray, scales: np.ndarray, link: float):
        """`rows` (n, width) and `scales` (n,) of positive numbers."""
        self._rows, self._scales, self._link = rows, scales.astype(np.float64), link
        sample = spread(rows[np.isfinite(rows).all(axis=1)], _SAMPLE).astype(np.float64)
        low = rows - (sample.mean(axis=0) if len(sample) else 0.0)
        if rows.shape[1] > _LOW and len(sample):
            # a rotation by which the first numbers tell most; any rotation keeps distances
            axes = np.linalg.svd(sample - sample.mean(axis=0), full_matrices=False)[2]
            low = low @ axes[:_LOW].T
        squares = np.square(low).sum(axis=1, keepdims=True) * (1.0 - _ROUNDING)
        one, by = np.ones((len(rows), 1)), self._scales[:, None]
        # the inner product of two rows of these is at most their squared distance over the scales
        self._left = (np.hstack([-2.0 * low, squares, one]) / by).astype(np.float32)
        self._right = (np.hstack([low, one, squares]) / by).astype(np.float32)

    def pairs(self, left: np.ndarray, right: np.ndarray, limit: float) -> Found:
        """See `Likeness`."""
        at_least = self._left[left] @ self._right[right].T
        i, j = np.nonzero(at_least <= (limit * self._link) ** 2)
        left, right = left[i], right[j]
        unlike = self.scaled(left, right) / self._link
        near = unlike <= limit
        return left[near], right[near], unlike[near]

    def scaled(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The distance of each two rows over the mean of their scales, (n,) float64."""
        found = np.empty(len(left))
        for start in range(0, len(left), 1 << 14):
            part = slice(start, start + (1 << 14))
            one, two = left[part], right[part]
            apart = self._rows[one].astype(np.float64) - self._rows[two]
            by = np.sqrt(self._scales[one] * self._scales[two])
            found[part] = np.sqrt(np.square(apart).sum(axis=1)) / by
        return found

    def similarities(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """One less half the squared distance, which is the cosine of rows of unit length."""
        return np.maximum(0.0, 1.0 - np.square(self.scaled(left, right)) / 2.0)


class Looks:
    """Pictures that look alike, also mirrored or turned if `turns` say so; see `Likeness`.

    Of a mirrored picture the grey parts of looks are known exactly: they are those of the picture,
    mirrored. Of one that was cropped on all sides they are the middle of them, nearly. What the
    model's patches would answer to either is not known.
    """

    within_group = _IN_GROUP / _LOOKS

    def __init__(
        self, looks: np.ndarray, grey: np.ndarray, least: float, turns: Iterable[Turn] = ()
    ):
        """`looks` (n, width) with their `grey` parts (n, rows, columns).

        `least` is a distance up to which unrelated pictures are looked for in vain.
        """
        n, flat = len(looks), grey.reshape(len(grey), grey.shape[1] * grey.shape[2])
        self._whole = Near(looks, _scales(looks, least or _LEAST_SCALE), _LOOKS)
        scales = _scales(flat, _LEAST_GREY)
        # a picture that is even at 8 x 8 is like all others that are: its grey part tells nothing
        flat = np.where(flat.any(axis=1, keepdims=True), flat, np.nan).astype(np.float32)
        self._grey = Near(flat, scales, _GREY)
        views = [(turn(flat.reshape(grey.shape)), _TURNED) for turn in turns]
        self._views = [
            Near(np.vstack([flat, view.reshape(flat.shape)]), np.tile(scales, 2), link)
            for view, link in [*views, (_cropped(flat.reshape(grey.shape)), _CROPPED)]
        ]
        self._n = n

    def pairs(self, left: np.ndarray, right: np.ndarray, limit: float) -> Found:
        """See `Likeness`."""
        found = [self._whole.pairs(left, right, limit), self._grey.pairs(left, right, 1.0)]
        for near in self._views:
            # both ways, since the one that is turned or cropped may be either
            one, two, unlike = near.pairs(left, right + self._n, 1.0)
            found.append((one, two - self._n, unlike))
            one, two, unlike = near.pairs(left + self._n, right, 1.0)
            found.append((one - self._n, two, unlike))
        return _least(found, self._n)

    def similarities(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """1.0 for the same picture, 0.0 for those that are as far apart as unrelated ones."""
        apart = self._whole.scaled(left, right)
        for near in self._views:
            for one, two in ((left, right + self._n), (left + self._n, right)):
                apart = np.fmin(apart, near.scaled(one, two))
        return np.maximum(0.0, 1.0 - apart)


class Shares:
    """Rows that are alike where they have much in common; see `Likeness`.

    Of sets, the rows of which are 1 where they have something, it is the share of both that both
    have; of rows of unit length it is their cosine.
    """

    within_group = 1.0

    def __init__(self, rows: SparseRows, link: float, *, sets: bool):
        self._rows, self._link = to_scipy(rows), link
        self._sizes = rows.nnz_per_row.astype(np.float64) if sets else None

    def pairs(self, left: np.ndarray, right: np.ndarray, limit: float) -> Found:
        """See `Likeness`."""
        common = (self._rows[left] @ self._rows[right].T).tocoo()
        left, right = left[common.row], right[common.col]
        unlike = (1.0 - self._shares(left, right, common.data)) / (1.0 - self._link)
        near = unlike <= limit
        return left[near], right[near], unlike[near]

    def similarities(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The share that both have, or the cosine."""
        common = self._rows[left].multiply(self._rows[right]).sum(axis=1)
        return self._shares(left, right, np.asarray(common).ravel())

    def _shares(self, left: np.ndarray, right: np.ndarray, common: np.ndarray) -> np.ndarray:
        common = common.astype(np.float64)
        if self._sizes is None:
            return np.minimum(common, 1.0)
        return common / (self._sizes[left] + self._sizes[right] - common)


#: Turns pictures (n, rows, columns); each is a mirror image or a rotation.
Turn = Callable[[np.ndarray], np.ndarray]


def turns_of(shape: tuple[int, ...], *, mirror: bool, rotate: bool) -> list[Turn]:
    """The ways in which a picture (rows, columns) may be mirrored, turned, or both.

    Not by a quarter where the picture is not square.
    """

    def turned(quarters: int, flip: bool) -> Turn:
        def turn(given: np.ndarray) -> np.ndarray:
            rotated = np.rot90(given, quarters, (1, 2))
            return np.flip(rotated, 2) if flip else rotated

        return turn

    quarters = ([0, 1, 2] if shape[0] == shape[1] else [0, 2]) if rotate else [0]
    ways = [(n, flip) for n in quarters for flip in ([False, True] if mirror else [False])]
    return [turned(n, flip) for n, flip in ways if n or flip]


def _cropped(pictures: np.ndarray) -> np.ndarray:
    """The middle of pictures (n, rows, columns) at their size, centred and of the same length."""
    rows, columns = (_middle(side) for side in pictures.shape[1:])
    middle = rows @ pictures @ columns.T
    middle -= middle.mean(axis=(1, 2), keepdims=True)
    now, before = (np.linalg.norm(one, axis=(1, 2), keepdims=True) for one in (middle, pictures))
    return np.divide(middle * before, now, out=np.full_like(middle, np.nan), where=now > 1e-6)


def _middle(side: int) -> np.ndarray:
    """The matrix (side, side) that takes cells to those of the middle, by the area they share."""
    edges = side * (_CROP / 2 + (1.0 - _CROP) * np.linspace(0.0, 1.0, side + 1))
    cells = np.arange(side)
    shared = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.maximum(shared, 0.0) / (1.0 - _CROP)


def of_texts(texts: Iterable[str | None]) -> Shares:
    """What texts have in common: three words in a row; of shorter ones all of their words."""
    digests = [_shingles(text or "") for text in texts]
    lengths = np.array([len(one) for one in digests], np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    every = np.concatenate([*digests, np.empty(0, np.uint64)])
    known, indices = np.unique(every, return_inverse=True)
    ones = np.ones(len(every), np.float32)
    rows = SparseRows(indptr, indices.ravel().astype(np.int32), ones, max(1, len(known)))
    return Shares(rows, _SHINGLES, sets=True)


def of_features(features: Features, *, cosine: bool) -> Likeness:
    """How near features are, as they are compared (`Featurizer.compared`).

    Sparse ones by their cosine; dense ones by it too, or by their distance where length counts.
    """

    def dense(rows: np.ndarray) -> Likeness:
        if cosine:
            link = float(np.sqrt(2.0 * (1.0 - _COSINE)))
            return Near(rows, np.ones(len(rows)), link)
        return Near(rows, _scales(rows, float(np.finfo(np.float32).tiny)), _GREY)

    return by_layout(features, lambda rows: Shares(rows, _COSINE, sets=False), dense)


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly spaced."""
    return rows[:: max(1, -(-len(rows) // most))]


def _scales(rows: np.ndarray, least: float) -> np.ndarray:
    """How far from each row the nearest hundredth of a sample ends, but at least `least`: (n,)."""
    sample = spread(rows, _SAMPLE).astype(np.float32)
    if not len(sample):
        return np.empty(0)
    nth = min(len(sample) - 1, max(_LEAST, int(_SHARE * len(sample))))
    squares, found = np.square(sample).sum(axis=1), np.empty(len(rows))
    for start in range(0, len(rows), 1_024):
        part = rows[start : start + 1_024].astype(np.float32)
        apart = np.square(part).sum(axis=1)[:, None] + squares - 2.0 * (part @ sample.T)
        found[start : start + 1_024] = np.partition(apart, nth, axis=1)[:, nth]
    return np.maximum(np.sqrt(np.maximum(found, 0.0)), least)


def _least(found: list[Found], n: int) -> Found:
    """Each pair of several findings once, as little unlike as one of them says."""
    left, right, unlike = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = np.lexsort((unlike, right, left))
    left, right, unlike = left[order], right[order], unlike[order]
    pairs = left * n + right
    first = np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)]
    return left[first], right[first], unlike[first]


def _shingles(text: str) -> np.ndarray:
    """The digests of a text's shingles, (m,) uint64 increasing; at most `_MOST_SHINGLES`."""
    sequence = [word for piece in pieces(text) for word in words(piece)]
    n = max(1, len(sequence) - _WORDS + 1) if sequence else 0
    runs = {" ".join(sequence[start : start + _WORDS]) for start in range(n)}
    joined = b"".join(
        blake2b(run.encode("utf-8", "surrogatepass"), digest_size=8).digest() for run in runs
    )
    return np.sort(np.frombuffer(joined, np.uint64))[:_MOST_SHINGLES]
