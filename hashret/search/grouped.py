"""Search for the nearest items of k groups: for more and more items, until there are so many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hashret.codes import Codes
from hashret.search.groups import MORE, Groups, in_parts, n_groups
from hashret.search.question import Question
from hashret.search.searcher import Answered, Searcher

# Items searched for first, for each hit that is asked for; for a shortlist, as many as it is chosen
# from.
_FIRST = 4


@dataclass(frozen=True, slots=True)
class GroupedSearch:
    """Searches for items of k groups, or for all items there are."""

    searcher: Searcher
    question: Question
    groups: Groups
    depth: int
    """How many items are searched for at least."""
    without_self: bool = False
    """Whether queries are positions of items, which are no hits of their own."""

    def answers(
        self, codes: Codes, queries: np.ndarray, confidences: np.ndarray | None = None
    ) -> Iterator[Answered]:
        """As `Searcher.answers`, in the order of the queries.

        What is searched for is four times as much each time, so that the work is that of the last
        search and a third more; an answer's plan is that of its last search.
        """
        question, searcher = self.question, self.searcher
        if question.k is None or question.radius is not None:
            yield from searcher.answers(question, codes, queries, None, confidences)
            return
        n_items = len(searcher.over(question))
        wanted = min(question.k, self.groups.count_of_codes(searcher.chosen(question)))
        first = self.depth if question.rerank else max(self.depth, _FIRST * question.k)
        parts = in_parts(queries, first, n_items)
        while parts:
            part, depth = parts.pop()
            found = list(searcher.answers(question, codes, part, depth, confidences))
            if all(self._are_enough(one, wanted, depth) for one in found):
                yield from found
            else:
                parts += in_parts(part, MORE * depth, n_items)

    def _are_enough(self, answered: Answered, wanted: int, depth: int) -> bool:
        """Whether each query has items of so many groups, or all items there are."""
        found = answered.found
        lengths = np.diff(found.limits)
        limits, positions = found.limits, found.rows
        if self.without_self:
            others = positions != np.repeat(answered.queries, lengths)
            limits = np.append(0, np.cumsum(others))[limits]
            positions = positions[others]
        found_groups = n_groups(limits, self.groups.of_codes(positions))
        return bool(((found_groups >= wanted) | (lengths < depth)).all())
