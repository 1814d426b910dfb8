"""Which items are copies of one another, and which of them would a person keep?

1. Items with the same content are one: the same text, the same looks, the same vector, or the same
   digest of content and metadata. So are items without a code.
2. All pairs that are alike (`insight.likeness`) hang items together (`insight.near_pairs`).
3. What hangs together may be a chain whose ends are not alike. So one item is chosen to be kept,
   and its group are those that are confirmed to be like itself; with the rest it begins again.
   The kept one is the first by the rule among those that at least half as many are like as are
   like any other: else a picture with a wide border might be kept, and its copies not be found.

Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, get_args

import numpy as np

from hashret.arguments import require_flag, whole
from hashret.collection import Collection
from hashret.errors import CollectionError
from hashret.features.looks import grey_parts
from hashret.insight.likeness import Looks, of_features, of_texts, spread, turns_of
from hashret.insight.near_pairs import Components, Likeness, bits_between, near_pairs
from hashret.items import StoredItem
from hashret.snapshot import Snapshot
from hashret.sparse import arrays_of, take_rows

#: The item of a group that is kept: the one of most pixels, words or bytes, the first in the order
#: in which items are stored, or the one that was changed last.
Keep = Literal["largest", "first", "newest"]
KEEP = get_args(Keep)
#: Up to so many items are all compared with one another; of more, those whose codes are
#: within an eighth of the bits.
_ALL = 50_000
_JUDGES = 1_000  # members by which the one that most others are like is found
_SAME_SHARE = 0.5  # of these that the kept one must be like, for the rule to choose it


@dataclass(frozen=True, slots=True)
class Copy:
    """An item of a group, and how near it is to the kept one.

    `distance` is that of the codes in bits, -1 where they have none. `similarity` is 1.0 for the
    same content; of texts the share of three words in a row that both have, of vectors the cosine,
    of pictures 0.0 where they are as far apart as unrelated ones.
    """

    id: str
    distance: int
    similarity: float
    metadata: Mapping[str, Any]
    preview: str
    item: StoredItem = field(repr=False)

    @property
    def text(self) -> str | None:
        """The whole text, read when it is asked for; None where none is kept."""
        return self.item.text

    def to_json(self) -> dict[str, Any]:
        """The copy as JSON, under stable keys, without its text."""
        return {
            "id": self.id,
            "distance": self.distance,
            "similarity": round(self.similarity, 6),
            "metadata": dict(self.metadata),
            "preview": self.preview,
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Items that are copies of one another: the rows in which they are stored, kept one first."""

    rows: np.ndarray
    distances: np.ndarray
    similarities: np.ndarray


class Duplicates:
    """The groups of copies in a collection, those of most items first.

    `radius` is the number of bits within which codes were looked at, None for all; `n_items` the
    number of items that were looked at; `freed` the bytes of the items that would not be kept, as
    far as that is known, and `n_unknown` of how many it is not. `note` says what could not be told.
    """

    def __init__(
        self, snapshot: Snapshot, found: list[Group], radius: int | None, n_items: int, note: str
    ):
        self._snapshot = snapshot
        self.groups = found
        self.radius = radius
        self.n_items = n_items
        self.note = note
        others = [row for group in found for row in group.rows[1:].tolist()]
        sizes = [_n_bytes(snapshot, row) for row in others]
        self.n_copies = len(others)
        self.n_unknown = sizes.count(None)
        self.freed = sum(size for size in sizes if size is not None)

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[list[Copy]]:
        """The items of each group, the kept one first."""
        for group in self.groups:
            facts = zip(group.distances.tolist(), group.similarities.tolist(), strict=True)
            items = self._snapshot.stored(group.rows.tolist())
            yield [
                Copy(item.id, bits, alike, item.metadata, item.preview, item)
                for (bits, alike), item in zip(facts, items, strict=True)
            ]


def duplicates(
    collection: Collection,
    *,
    radius: int | None = None,
    keep: Keep = "largest",
    where: str | None = None,
    mirrored: bool = False,
    rotated: bool = False,
) -> Duplicates:
    """The groups of copies among the items that satisfy `where`, or among all.

    Of pictures those that are `mirrored`, or `rotated` by a quarter or a half, are copies only if
    asked for. With `radius` only items whose codes are within so many bits (inclusive) make a pair.
    Raises ValueError for another `keep` or a radius below 0, TypeError, `WhereError`, and
    `CollectionError` for mirrored or rotated ones where no looks are kept.
    """
    if keep not in KEEP:
        raise ValueError(f"keep: expected one of {', '.join(KEEP)}, got {keep!r}; choose one")
    if radius is not None and whole("radius", radius) < 0:
        raise ValueError(f"radius: expected 0 bits or more, got {radius}; it includes its boundary")
    require_flag("mirrored", mirrored)
    require_flag("rotated", rotated)
    snapshot = collection.snapshot
    if (mirrored or rotated) and not snapshot.keeps_looks:
        raise CollectionError(
            f"{snapshot.layout.root}: expected a collection of images that keeps features, to find "
            "mirrored and rotated ones by; index it again with --retrain --store-features"
        )
    rows = np.array(list(snapshot.rows_in_order(where)), np.int64)
    positions = snapshot.rows.find(rows)
    same = _same_content(snapshot, rows, positions)
    first_of = np.flatnonzero((same.label == np.arange(len(rows))) & (positions >= 0))
    radius = _radius(snapshot, radius, len(first_of))
    turns = mirrored, rotated
    confirming = _likeness(snapshot, rows[first_of], positions[first_of], turns)
    rank = _ranks(snapshot, rows, keep)
    stars: list[np.ndarray] = []
    if confirming is not None:
        best = np.full(len(rows), len(rows))
        np.minimum.at(best, same.label, rank)
        codes = snapshot.codes[positions[first_of]]
        near = Components(len(first_of))
        for left, right, _ in near_pairs(codes, confirming, radius):
            near.join(left, right)
        stars = list(_stars(near.label, best[first_of], confirming))
    found = _groups(snapshot, rows, same.label, first_of, stars, rank, confirming)
    missing = confirming is None and len(first_of) > 1
    return Duplicates(snapshot, found, radius, len(rows), _NOTHING_KEPT if missing else "")


_NOTHING_KEPT = (
    "the collection keeps neither texts nor features to confirm near codes by, so only items with "
    "the same content and metadata are found; index it again with --retrain --store-features"
)


def _radius(snapshot: Snapshot, radius: int | None, n_items: int) -> int | None:
    if radius is not None or n_items <= _ALL:
        return radius
    return snapshot.n_bits // 8


def _same_content(snapshot: Snapshot, rows: np.ndarray, positions: np.ndarray) -> Components:
    """Which items have the same content, by their place among `rows`."""
    same, first = Components(len(rows)), dict[bytes, int]()
    equal: list[tuple[int, int]] = []

    def seen(key: bytes, place: int) -> None:
        if (former := first.setdefault(key, place)) != place:
            equal.append((former, place))

    for place, row in enumerate(rows.tolist()):
        with snapshot.folder.reading():
            digest = snapshot.items.digest(row)
        if any(digest):  # a repair leaves zeros where it could not read one
            seen(b"d" + digest, place)
        if (text := snapshot.text_of(row)) is not None:
            seen(b"t" + blake2b(text.encode("utf-8", "surrogatepass")).digest(), place)
    coded = np.flatnonzero(positions >= 0)
    if snapshot.has_features and not snapshot.keeps_texts and len(coded):
        for start in range(0, len(coded), 1 << 14):
            part = coded[start : start + (1 << 14)]
            kept = snapshot.features(positions[part])
            for i, place in enumerate(part.tolist()):
                arrays = arrays_of(take_rows(kept, np.array([i])))
                code = snapshot.packed[positions[place]].tobytes()
                content = b"".join(array.tobytes() for array in arrays)
                seen(b"f" + code + blake2b(content).digest(), place)
    if equal:
        left, right = np.array(equal).T
        same.join(left, right)
    return same


def _likeness(
    snapshot: Snapshot, rows: np.ndarray, positions: np.ndarray, turns: tuple[bool, bool]
) -> Likeness | None:
    """What confirms that items are alike, by their places among `rows`; None if nothing can."""
    if len(rows) < 2:
        return None
    if snapshot.keeps_texts:
        return of_texts(snapshot.text_of(row) for row in rows.tolist())
    if not snapshot.has_features:
        return None
    features, spec = snapshot.features(positions), snapshot.spec("features")
    if snapshot.keeps_looks:
        looks = np.asarray(features)
        grey = grey_parts(looks, spec)
        ways = turns_of(grey.shape[1:], mirror=turns[0], rotate=turns[1])
        return Looks(looks, grey, snapshot.copy_distance or 0.0, ways)
    compared = snapshot.coder.featurizer.compared(features)
    return of_features(compared, cosine=getattr(spec, "metric", "euclidean") == "cosine")


def _stars(label: np.ndarray, rank: np.ndarray, likeness: Likeness) -> Iterator[np.ndarray]:
    """The members of each group of at least two, the kept one first.

    `label` says what hangs together, `rank` in which order the rule would keep the items.
    """
    order = np.argsort(label, kind="stable")
    cuts = np.flatnonzero(np.diff(label[order])) + 1
    limit = likeness.within_group
    for left in np.split(order, cuts):
        while len(left) > 1:
            judges = spread(left, _JUDGES)
            liked, by, _ = likeness.pairs(left, judges, limit)
            counts = np.zeros(len(label), np.int64)
            np.add.at(counts, liked[liked != by], 1)
            most = int(counts[left].max())
            if not most:
                break
            fit = left[counts[left] >= max(1.0, _SAME_SHARE * most)]
            kept = fit[np.argmin(rank[fit])]
            _, members, _ = likeness.pairs(np.array([kept]), left, limit)
            members = members[members != kept]
            if len(members):
                yield np.concatenate([[kept], np.sort(members)])
            left = left[~np.isin(left, [kept, *members.tolist()])]


def _groups(
    snapshot: Snapshot,
    rows: np.ndarray,
    same: np.ndarray,
    first_of: np.ndarray,
    stars: list[np.ndarray],
    rank: np.ndarray,
    likeness: Likeness | None,
) -> list[Group]:
    """The groups of items: of each star all items with the content of one of its members."""
    order = np.argsort(same, kind="stable")
    starts = np.flatnonzero(np.diff(same[order], prepend=-1))
    of_content = (
        dict(zip(same[order][starts].tolist(), np.split(order, starts[1:]), strict=True))
        if len(order)
        else {}
    )
    found = []
    for star in stars:
        alike = likeness.similarities(np.full(len(star), star[0]), star) if likeness else star
        classes = [of_content.pop(int(one)) for one in first_of[star]]
        similarities = np.repeat(alike, [len(one) for one in classes])
        similarities[: len(classes[0])] = 1.0
        found.append((np.concatenate(classes), len(classes[0]), similarities))
    for places in of_content.values():
        if len(places) > 1:
            found.append((places, len(places), np.ones(len(places))))
    groups = []
    for places, n_kept, similarities in found:
        # the kept one is the first by the rule among those with the kept content
        kept = int(np.argmin(rank[places[:n_kept]]))
        turned = np.r_[kept, np.delete(np.arange(len(places)), kept)]
        places, similarities = places[turned], similarities[turned]
        groups.append(Group(rows[places], _distances(snapshot, rows[places]), similarities))
    return sorted(groups, key=lambda group: (-len(group.rows), int(group.rows.min())))


def _distances(snapshot: Snapshot, rows: np.ndarray) -> np.ndarray:
    """How many bits the codes of rows differ from that of the first; -1 where there is none."""
    positions = snapshot.rows.find(rows)
    has_code = (positions >= 0) & (positions[0] >= 0)
    distances = np.full(len(rows), -1, np.int64)
    some = positions[has_code]
    if len(some):
        distances[has_code] = bits_between(snapshot.codes, np.full(len(some), positions[0]), some)
    return distances


def _ranks(snapshot: Snapshot, rows: np.ndarray, keep: Keep) -> np.ndarray:
    """In which order the rule would keep items, by their place among `rows`: the least first."""
    if keep == "first":
        return np.arange(len(rows))
    measured = [_measure(snapshot, row, keep) for row in rows.tolist()]
    order = sorted(range(len(rows)), key=measured.__getitem__, reverse=True)
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows))
    return ranks


def _measure(snapshot: Snapshot, row: int, keep: Keep) -> tuple[Any, ...]:
    """What the rule compares, the greatest of which is kept; of equals the first in order."""
    ((_, metadata, _),) = snapshot.shown([row])
    if keep == "newest":
        modified = metadata.get("modified")
        return (modified if isinstance(modified, str) else "",)
    pixels = _number(metadata.get("width")) * _number(metadata.get("height"))
    text = snapshot.text_of(row)
    n_words = 0 if text is None else len(text.split())
    return pixels, n_words, _number(metadata.get("size"))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _n_bytes(snapshot: Snapshot, row: int) -> int | None:
    """The size of an item: that of its file, else of its text; None if neither is known."""
    ((_, metadata, _),) = snapshot.shown([row])
    size = metadata.get("size")
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    text = snapshot.text_of(row)
    return None if text is None else len(text.encode("utf-8", "surrogatepass"))
