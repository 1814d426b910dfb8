"""The words of a snapshot's texts: read from the texts once, and kept for the next process.

A segment never changes, so its inverted index doesn't either; removed rows and conditions are
looked at when a question comes. What is kept lies in the user's cache folder under a digest of
what it was made from; it is read only if each of its bytes is as it was written (`read_arrays`),
so damage costs time but never a wrong answer.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import islice
from math import log
from threading import Lock
from typing import TYPE_CHECKING, cast

from hashret._version import __version__
from hashret.arguments import require_instance
from hashret.errors import CollectionError, DamagedError
from hashret.features.texts.featurizer import MAX_BYTES
from hashret.items import Payload
from hashret.kinds import kind_of
from hashret.outside.machine_cache import has_arrays, read_arrays, write_arrays
from hashret.snapshot import Snapshot
from hashret.store.segments.segment import Segment
from hashret.words.bm25 import Bm25, Part
from hashret.words.postings import Postings, counted, digest

if TYPE_CHECKING:
    from hashret.features.texts.featurizer import TextFeaturizer
    from hashret.search.spelling import Spelling

#: Bytes of a segment's file of texts from which on its words are kept; those of a smaller one are
#: read in a tenth of a second.
MANY = 1 << 17
#: The rarity of a word that half of the texts have (`Bm25.rarities`).
_OF_HALF = log(2.0)
#: So many of a question's words are marked in its hits: those of a long one would fill the page.
_MOST_TELLING = 32
_LAYOUT = 1  # version of the layout, part of the name: indexes of other versions are ignored


class WordIndex:
    """The words of the stored texts of a snapshot; any number of threads may ask."""

    def __init__(self, snapshot: Snapshot, former: WordIndex | None = None):
        """`former`, of an earlier snapshot of the same folder, has read some segments already."""
        self._snapshot = snapshot
        self._reading = Lock()  # so that threads don't read the same texts twice
        self._known: dict[str, Postings] = {} if former is None else former._known.copy()
        self._bm25: Bm25 | None = None

    @property
    def bm25(self) -> Bm25:
        """The scorer of all texts of the snapshot, by row; its words are read on first use.

        Raises CollectionError where the collection keeps no texts, and `DamagedError`.
        """
        if self._bm25 is None:
            with self._reading:
                if self._bm25 is None:
                    self._bm25 = Bm25([self._part(one) for one in self._segments()])
        return self._bm25

    def of_payload(self, payload: Payload) -> dict[int, int]:
        """How often a payload, a text, has each word: as `Bm25` takes it."""
        return counted(self._featurizer.searched_words(str(payload)))

    def count(self, payload: Payload, most: int) -> int:
        """The number of words of a payload, a text, or `most` if it has more."""
        return sum(1 for _ in islice(self._featurizer.all_words(str(payload)), most))

    def of_rows(self, rows: Iterable[int]) -> Iterator[dict[int, int]]:
        """The same of stored texts; nothing of an item without one."""
        for row in rows:
            text = self._snapshot.text_of(row)
            yield {} if text is None else self.of_payload(text)

    def telling(self, text: str) -> tuple[dict[str, float], dict[str, float]]:
        """What the words of a question weigh that tell most, and then its ideographs by themselves.

        The rarest in the collection's texts, and none that half of them have unless all are such;
        where no question has read these texts yet, the words that the vocabulary knows.
        """
        words = list(dict.fromkeys(self._featurizer.all_words(text)))
        more = set(self._featurizer.searched_words(text)) - set(words)
        return self._weighed(words), self._weighed(more)

    def _weighed(self, words: Iterable[str]) -> dict[str, float]:
        if self._bm25 is None:
            weights = self._featurizer.weights(words)
        else:
            of_digests = self._bm25.rarities(map(digest, words))
            weights = {word: of_digests[d] for word in words if (d := digest(word)) in of_digests}
            weights = {w: r for w, r in weights.items() if r >= _OF_HALF} or weights
        return dict(sorted(weights.items(), key=lambda pair: -pair[1])[:_MOST_TELLING])

    def spelling(self, question: str) -> Spelling:
        """Which words of a question no text has, and known words that are spelt like them.

        Where the words of the texts were not read, nothing is said of a question with a word that
        the vocabulary knows: it lacks the most common and the rarest words.
        """
        from hashret.search.spelling import Spelling, spelling  # most questions need none

        require_instance("question", question, str)
        words = list(dict.fromkeys(self._featurizer.all_words(question)))
        known = set(self._featurizer.weights(words))
        if self._bm25 is None:
            unknown = set() if known else set(words)
        else:
            rarities = self._bm25.rarities(map(digest, words))
            unknown = {word for word in words if digest(word) not in rarities} - known
        if not unknown:
            return Spelling((), "")
        vocabulary = self._featurizer.weights(self._featurizer.vocabulary)
        split = self._featurizer.all_words
        return spelling(question, unknown, vocabulary, lambda text: list(split(text)))

    def splits(self, text: str) -> Iterator[str]:
        """Yield the words by which a text is searched for, as the collection splits it."""
        return self._featurizer.searched_words(text)

    @property
    def n_unread_bytes(self) -> int:
        """The size of the files of texts, which are compressed, whose words were not read yet.

        Those are neither in memory nor kept.
        """
        return sum(
            segment.texts.size
            for segment in self._segments()
            if segment.texts is not None
            and segment.name not in self._known
            and not has_arrays(self._name(segment))
        )

    def _segments(self) -> list[Segment]:
        snapshot = self._snapshot
        self._require_texts()
        if not snapshot.keeps_texts:
            raise CollectionError(
                f"{snapshot.layout.root}: expected the texts of the items, whose words are to be "
                "compared, got items without; index it anew with --retrain --store-text"
            )
        return [segment for segment in snapshot.segments if segment.texts]

    def _require_texts(self) -> None:
        if not (kind := kind_of(self._snapshot.kind)).stores_texts:
            raise CollectionError(
                f"{self._snapshot.layout.root}: expected texts, whose words are to be compared, "
                f"got items of kind {kind.name}; ask by codes or features"
            )

    @property
    def _featurizer(self) -> TextFeaturizer:
        self._require_texts()
        return cast("TextFeaturizer", self._snapshot.coder.featurizer)

    def _part(self, segment: Segment) -> Part:
        postings = self._known.get(segment.name)
        if postings is None:
            postings = self._known[segment.name] = self._postings(segment)
        return Part(segment.first_row, postings, segment.removed)

    def _postings(self, segment: Segment) -> Postings:
        """The words of a segment, as they are kept or from its texts."""
        is_kept = segment.texts is not None and segment.texts.size >= MANY
        name = self._name(segment)
        if is_kept and (kept := read_arrays(name)):
            with suppress(DamagedError):
                return Postings.from_tensors(kept, segment.n_rows)
        words = self._featurizer.searched_words
        rows = range(segment.first_row, segment.stop)
        texts = map(self._snapshot.text_of, rows)
        # only a stranger's collection has a longer text than any item may have
        readable = (text if text and len(text) <= MAX_BYTES else "" for text in texts)
        postings = Postings.of(map(words, readable))
        if is_kept:
            write_arrays(name, postings.tensors())
        return postings

    def _name(self, segment: Segment) -> str:
        """What its words are kept under: a digest of all that they depend on.

        Of the texts' file also the digests of its blocks count, because they are what its bytes are
        compared with: a stranger's catalog may say any SHA-256 of the whole.
        """
        spec = self._featurizer.spec
        rules = [spec.rule, spec.fold_accents, __version__, unicodedata.unidata_version]
        file = segment.texts
        content = [] if file is None else [file.size, file.sha256, file.blocks.hex()]
        made_from = json.dumps([_LAYOUT, segment.n_rows, *rules, *content])
        return f"words-{sha256(made_from.encode()).hexdigest()}"
