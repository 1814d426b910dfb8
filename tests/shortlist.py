"""The shortlist of a `rerank`, by brute force over the hits of all items by codes alone."""

from collections.abc import Sequence

from hashret.items import Hit


def shortlisted(hits: Sequence[Hit], n: int) -> list[Hit]:
    """The n best by score of the items whose codes are as near as the 3 n-th."""
    return by_score(hits, 3 * n)[:n]


def by_score(hits: Sequence[Hit], depth: int) -> list[Hit]:
    """The items whose codes are as near as that of the given depth, the best by score first."""
    farthest = max(sorted(hit.distance for hit in hits)[:depth], default=0)
    near = [hit for hit in hits if hit.distance <= farthest]
    return sorted(near, key=lambda hit: (-hit.score, hit.distance, hit.id))
