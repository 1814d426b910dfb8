"""One commit that is open to be asked: its snapshot, and what searches it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from hashret.codes import Codes
from hashret.errors import CollectionError
from hashret.indexes.views.cache import IndexKind
from hashret.items import Hits, Id, Item, ids_of
from hashret.kinds import kind_of
from hashret.search.grouped import GroupedSearch
from hashret.search.groups import Groups
from hashret.search.hits import Ranking, WordScores, hits
from hashret.search.hybrid import hybrid_hits
from hashret.search.question import FEW, IN_WORDS, Asked, Question, certain, payloads_of
from hashret.search.rows import FoundRows, rows
from hashret.search.searcher import Answered, Searcher
from hashret.snapshot import Snapshot
from hashret.store.catalog.opening import open_catalog
from hashret.store.layout import Layout

#: Bytes of texts, compressed, whose words are not read unasked: it takes half a minute.
MOST_UNREAD = 100_000_000


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot and its searcher, which belong together; any number of threads may ask."""

    snapshot: Snapshot
    searcher: Searcher

    @classmethod
    def of(cls, snapshot: Snapshot, index: IndexKind) -> Self:
        """The snapshot, asked by `index` where a question names none."""
        return cls(snapshot, Searcher(snapshot, index))

    def at_last_commit(self, address: str | None) -> Opened | None:
        """The last commit in the same place; None if that is the one that is open.

        `address` is that of the catalog's server. What is read already is not read again, unless
        another folder was put in the place. Raises CollectionError where the folder was deleted,
        or holds items of another kind.
        """
        snapshot, searcher = self.snapshot, self.searcher
        change = snapshot.folder.change()
        if change == "deleted":
            snapshot.folder.require_unchanged()
        if change:
            layout = Layout.find(snapshot.layout.root)
            now = Snapshot.open(layout, address=address)
            if now.kind != snapshot.kind:
                now.close()
                raise CollectionError(
                    f"{layout.root}: expected items of kind {snapshot.kind}, as when it was "
                    f"opened, got a collection of {now.kind} items in its place; open it anew"
                )
            return Opened.of(now, searcher.kind)
        with open_catalog(snapshot.layout, address=address) as catalog:
            last = catalog.last_commit()
        if last == snapshot.committed:
            return None
        now = Snapshot.open(snapshot.layout, address=address, former=snapshot)
        return Opened(now, Searcher(now, searcher.kind, searcher))

    def suited(self, question: Question, *, of_stored: bool = False) -> Question:
        """The question about texts in the order that suits it, if it asks for none itself.

        It stays by codes alone where more than `MOST_UNREAD` bytes of texts are kept whose words
        would have to be read first; a question about stored items needs none of these.
        """
        snapshot = self.snapshot
        are_texts = kind_of(snapshot.kind).stores_texts
        if not question.asks_no_order or not are_texts or snapshot.model is None:
            return question
        needs_words = self.snapshot.keeps_texts and not of_stored
        if needs_words and self.searcher.words.n_unread_bytes > MOST_UNREAD:
            return question
        return replace(question, order="auto")

    def hits(self, question: Question, given: Any) -> Any:
        """The hits of a payload (`Hits`), or of each of several payloads or codes (a list)."""
        if question.is_open:
            return self._hits_of_each(question, given)
        question = self._asked(question)
        snapshot = self.snapshot
        ranking = _ranking(snapshot, question, of_codes=isinstance(given, Codes))
        asked = Asked.of(given, question, snapshot)
        if question.is_hybrid:
            found = hybrid_hits(snapshot, self.searcher, question, asked, self._groups(question))
            return found[0] if asked.single else found
        groups = self._groups(question)
        answers = [Hits((), kind_of(snapshot.kind).unknown, by=ranking.by)] * len(asked)
        for answered in self._answers(
            question, asked.codes, asked.known, ranking.searched, groups, asked.all_confidences
        ):
            places = answered.queries
            beside = asked.kept(places, snapshot.coder) if ranking.compares_features else None
            words = None
            if ranking.by == "words":
                of_payload = self.searcher.words.of_payload
                words = self._words(of_payload(asked.payloads[i]) for i in places.tolist())
            confidences = asked.confidences(places)
            ranked = hits(
                snapshot, ranking, answered, confidences, beside, groups=groups, words=words
            )
            for i, one in zip(places.tolist(), ranked, strict=True):
                answers[i] = one
        return answers[0] if asked.single else answers

    def _hits_of_each(self, question: Question, given: Any) -> Any:
        """The hits of payloads, each in the order that suits it."""
        if isinstance(given, Codes):
            return self.hits(question.decided(by_words=False), given)
        payloads, single = payloads_of(given, self.snapshot.kind)
        answers: list[Any] = [None] * len(payloads)
        in_words = list(map(self._is_in_words, payloads))
        for by_words in (False, True):
            places = [place for place, one in enumerate(in_words) if one is by_words]
            # what can't be asked is said, also if nothing is asked about
            if places or not (payloads or by_words):
                # as items, since a list of tokens would be one sequence
                chosen = [Item("", payloads[place]) for place in places]
                decided = question.decided(by_words=by_words, few=self._n_few)
                found = self.hits(decided, chosen)
                for place, hits_of_one in zip(places, found, strict=True):
                    answers[place] = hits_of_one
        return answers[0] if single else answers

    def _is_in_words(self, payload: Any) -> bool:
        """Whether the payload is a question in words, to which the stored texts may have them."""
        if not self.snapshot.keeps_texts or not isinstance(payload, str):
            return False
        return self.searcher.words.count(payload, IN_WORDS + 1) <= IN_WORDS

    @property
    def _n_few(self) -> int:
        """The number of items if these are few texts that have features, else 0."""
        snapshot = self.snapshot
        compared = kind_of(snapshot.kind).stores_texts and snapshot.has_features
        return len(snapshot) if compared and len(snapshot) <= FEW else 0

    def hits_of_stored(
        self, question: Question, ids: Id | Iterable[Id], *, include_self: bool
    ) -> Any:
        """The hits of the stored item of an id (`Hits`), or of each of several ids (a list)."""
        question.require_of_stored()
        if question.is_open:
            question = question.decided(by_words=False, few=self._n_few)
        question = self._asked(question)
        snapshot, searcher = self.snapshot, self.searcher
        groups = self._groups(question)
        ranking = _ranking(snapshot, question)
        asked, single = ids_of(ids)
        positions = snapshot.rows.find(np.array(snapshot.require_rows(asked), np.int64))
        # one more than asked, since the item itself is among its nearest
        depth = None if ranking.depth is None else ranking.depth + 1
        note = "the item has no code, since the model knows nothing in it"
        answers = [Hits((), note, by=ranking.by)] * len(asked)
        coded = np.flatnonzero(positions >= 0)
        for answered in self._answers(
            question, snapshot.codes, positions[coded], depth, groups, without_self=not include_self
        ):
            block = answered.queries
            confidences = certain(snapshot.codes[block])
            beside = snapshot.features(block) if ranking.compares_features else None
            besides = None if include_self else block
            words = None
            if ranking.by == "words":
                words = self._words(searcher.words.of_rows(snapshot.rows[block].tolist()))
            ranked = hits(snapshot, ranking, answered, confidences, beside, besides, groups, words)
            for i, one in zip(coded[: len(block)].tolist(), ranked, strict=True):
                answers[i] = one
            coded = coded[len(block) :]
        return answers[0] if single else answers

    def rows(self, question: Question, given: Any) -> FoundRows:
        """The rows found for the payloads or codes; the only query is that of one payload."""
        question = self._asked(question)
        asked = Asked.of(given, question, self.snapshot)
        answers = self.searcher.answers(
            question, asked.codes, asked.known, question.k, asked.all_confidences
        )
        return rows(self.snapshot, Ranking(question), asked, answers)

    def _answers(
        self,
        question: Question,
        codes: Codes,
        queries: np.ndarray,
        depth: int | None,
        groups: Groups | None,
        confidences: np.ndarray | None = None,
        *,
        without_self: bool = False,
    ) -> Iterator[Answered]:
        if groups is None:
            return self.searcher.answers(question, codes, queries, depth, confidences)
        search = GroupedSearch(self.searcher, question, groups, depth or 1, without_self)
        return search.answers(codes, queries, confidences)

    def _groups(self, question: Question) -> Groups | None:
        """The groups of the items by the field that a question names; the last are remembered."""
        return None if question.group is None else self.searcher.groups(question.group)

    def _asked(self, question: Question) -> Question:
        """The question as it is searched; what can't be asked is said before a payload is read."""
        index = self.searcher.over(question)
        if question.probes is not None and question.probes >= len(index):
            question = replace(question, probes=None)  # to compare all costs less
        most = len(self.snapshot) + 1  # all and one more: numbers of any size would overflow
        if max(question.k or 0, question.rerank or 0) <= most:
            return question
        k, rerank = (None if n is None else min(n, most) for n in (question.k, question.rerank))
        return replace(question, k=k, rerank=rerank)

    def _words(self, queries: Iterable[dict[int, int]]) -> WordScores:
        """How well the words of these queries, by their numbers, fit the items of some rows."""
        bm25 = self.searcher.words.bm25
        of_queries = list(map(bm25.scores, queries))
        return lambda query, rows: of_queries[query].of_rows(rows)


def _ranking(snapshot: Snapshot, question: Question, *, of_codes: bool = False) -> Ranking:
    """The order of the hits. Raises CollectionError where it needs features and has none."""
    if of_codes:  # which have no looks that could be a copy's
        question.require_of_codes()
        return Ranking(question)
    if question.rerank_by in ("features", "both") and not snapshot.has_features:
        raise CollectionError(
            f"{snapshot.layout.root}: expected the features of every item to rank by, got items "
            "without; index it anew with --retrain --store-features"
        )
    return Ranking.of(question, snapshot)
