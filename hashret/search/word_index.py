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
from threading import Lock
from typing import TYPE_CHECKING, cast

from hashret import __version__
from hashret.errors import CollectionError, DamagedError
from hashret.features.text import MAX_BYTES
from hashret.items import Payload
from hashret.snapshot import Snapshot
from hashret.store.machine_cache import has_arrays, read_arrays, write_arrays
from hashret.store.segments.segment import Segment
from hashret.words.bm25 import Bm25, Part
from hashret.words.postings import Postings, counted

if TYPE_CHECKING:
    from hashret.features.text import TextFeaturizer

#: Bytes of a segment's file of texts from which on its words are kept; those of a smaller one are
#: read in a tenth of a second.
MANY = 1 << 17
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
        if not snapshot.keeps_texts:
            raise CollectionError(
                f"{snapshot.layout.root}: expected the texts of the items, whose words are to be "
                "compared, got items without; index it anew with --retrain --store-text"
            )
        return [segment for segment in snapshot.segments if segment.texts]

    @property
    def _featurizer(self) -> TextFeaturizer:
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
