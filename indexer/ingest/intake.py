"""Find the items that are new or changed, and prepare them to be encoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hashret.arguments import resolve
from hashret.errors import PayloadError
from hashret.features import FEATURIZERS
from hashret.features.base import item_digest
from hashret.features.decoding import Taken
from hashret.items import Item
from hashret.store.segments.record_schema import DIGEST, ItemRecord
from hashret.workers.refusals import LEFT_OUT, Refused
from indexer.corpus import Skipped
from indexer.corpus.endings import ending_of
from indexer.corpus.files import refusal_of
from indexer.ingest.counts import Stopwatch, Tally
from indexer.ingest.prepare import Preparer

BATCH = 1024  # items looked up and encoded at a time, to bound memory and save calls of SQL
# Characters of a batch's texts, and bytes of its images that no file holds: it has fewer items if
# these are long.
_BATCH_CHARACTERS, _BATCH_BYTES = 4 << 20, 64 << 20
DUPLICATE = "duplicate id: expected each id once, got it again; rename one, or see --id-prefix"


class Lookup(Protocol):
    """What is known of ids while items come in: a commit in the making (`Staging`), or what one
    would find there (`dry_run.LastCommit`)."""

    kept_from: int
    """Rows from here on were staged by a run that was interrupted, and this one goes on from it."""

    def see(self, ids: Sequence[str]) -> tuple[set[str], dict[str, tuple[int, bytes]]]:
        """Mark ids as seen in this run.

        Returns those of them that had been seen before, and the row and digest of those that stand
        in the collection, encoded by the model in use.
        """
        ...


@dataclass(slots=True)
class Batch:
    """What became of up to `BATCH` things from the source.

    `pending` are the new and changed items; `prepared` is of those to encode, in their order. A
    batch is counted when its codes are there, not when it is read, so that reports come in the
    order of the source.
    """

    pending: list[ItemRecord] = field(default_factory=list)
    prepared: list[Any] = field(default_factory=list)
    stored: dict[int, int] = field(default_factory=dict)
    """The position in `pending` of each item whose text has a code already -> the row that has."""
    skipped: list[Skipped] = field(default_factory=list)
    unchanged: int = 0
    kept: int = 0
    """New or changed ones that a run that was interrupted had encoded and stored."""
    endings: Counter[str] = field(default_factory=Counter)
    """Ending -> how many items, but for the skipped."""

    @property
    def to_encode(self) -> list[int]:
        """The position in `pending` of each item of `prepared`."""
        return [place for place in range(len(self.pending)) if place not in self.stored]

    def count(self, tally: Tally, refused: Mapping[int, Refused]) -> None:
        """Count all but the items with a code; `refused` says of a position in `pending` why it
        has none."""
        tally.unchanged += self.unchanged
        tally.added += self.kept
        tally.codes_kept += len(self.stored)
        tally.count_read(self.endings - Counter(ending_of(self.pending[i].id) for i in refused))
        for skipped in self.skipped:
            tally.skip(skipped)
        for row, why in refused.items():
            tally.skip(why.skipped(self.pending[row].id))


class Known(Protocol):
    """Knows which texts have a code already (`stored_codes.StoredCodes`)."""

    def row_of(self, item: Item, former: int) -> int:
        """A row with the item's text and its code; -1 for none. `former`: the row of its id."""
        ...


class Intake:
    """Takes items from a source in batches, looks them up and prepares the unknown ones."""

    def __init__(
        self,
        kind: str,
        spec: Any,
        lookup: Lookup,
        preparer: Preparer,
        stopwatch: Stopwatch,
        *,
        keeps_texts: bool = False,
        keeps_payloads: bool = False,
        keeps_thumbnails: bool = False,
        known: Known | None = None,
    ):
        """`spec` None: there is no model yet, and what is prepared are the payloads to be kept.

        `known` says which items have codes already; None: they are not looked for.
        """
        self._kind = kind
        self._spec = spec
        self._lookup = lookup
        self._preparer = preparer
        self._stopwatch = stopwatch
        self._preview = resolve(FEATURIZERS, kind, "kind").preview
        self._keeps_texts = keeps_texts
        self._keeps_payloads = keeps_payloads
        self._keeps_thumbnails = keeps_thumbnails
        self._known = known

    def batches(self, items: Iterable[Item | Skipped]) -> Iterator[Batch]:
        """All `items`, as `indexer.corpus.given` takes them, by batches in their order."""
        stream = iter(items)
        while taken := self._take(stream):
            yield self._batch(taken)

    def _take(self, stream: Iterator[Item | Skipped]) -> list[Item | Skipped]:
        taken: list[Item | Skipped] = []
        full = 0.0
        with self._stopwatch.stage("read"):
            for one in stream:
                taken.append(one)
                if isinstance(one, Item) and isinstance(one.payload, str):
                    full += len(one.payload) / _BATCH_CHARACTERS
                elif isinstance(one, Item) and isinstance(one.payload, bytes):
                    full += len(one.payload) / _BATCH_BYTES
                if len(taken) == BATCH or full >= 1:
                    break
        return taken

    def _batch(self, taken: list[Item | Skipped]) -> Batch:
        batch = Batch()
        changed = self._changed([item for item in taken if isinstance(item, Item)], batch)
        skipped = [item for item in taken if isinstance(item, Skipped)]
        batch.skipped += skipped
        with self._stopwatch.stage("catalog"):
            # what can't be read was seen: pruning leaves a former version of it alone
            self._lookup.see([item.id for item in skipped if item.error_class not in LEFT_OUT])
        with self._stopwatch.stage("read"):
            new = [item.payload for item, _, row in changed if row < 0]
            results = iter(
                self._preparer.take(
                    new, self._spec, keeps=self._keeps_payloads, shows=self._keeps_thumbnails
                )
            )
            for item, digest, row in changed:
                made = next(results) if row < 0 else Taken()
                if isinstance(made, Refused):
                    batch.skipped.append(made.skipped(item.id))
                    continue
                if row < 0:
                    batch.prepared.append(made.kept if self._spec is None else made.prepared)
                else:
                    batch.stored[len(batch.pending)] = row
                preview = self._preview(item.payload)
                text = str(item.payload) if self._keeps_texts else None
                record = ItemRecord(
                    item.id,
                    digest,
                    item.metadata,
                    preview,
                    text,
                    made.kept,
                    made.thumbnail,
                )
                batch.pending.append(record)
                batch.endings[ending_of(item.id)] += 1
        return batch

    def _changed(self, items: list[Item], batch: Batch) -> list[tuple[Item, bytes, int]]:
        """The new and changed items with their content hashes; the others are noted in `batch`.

        With each stands the row that has a code of its text, -1 for none.
        """
        with self._stopwatch.stage("catalog"):
            asked = [item.id for item in items]
            before, known = self._lookup.see(asked)
        changed = []
        with self._stopwatch.stage("read"):
            for item in items:
                if item.id in before:
                    batch.skipped.append(Skipped(item.id, DUPLICATE, "duplicate-id"))
                    continue
                before.add(item.id)
                try:
                    digest = item_digest(item, self._kind)[:DIGEST]
                except PayloadError as error:
                    batch.skipped.append(Skipped(item.id, str(error), error.error_class))
                    continue
                except OSError as error:
                    batch.skipped.append(refusal_of(error).skipped(item.id))
                    continue
                row, same = known.get(item.id, (-1, b""))
                if same == digest:
                    kept = row >= self._lookup.kept_from
                    batch.kept += kept
                    batch.unchanged += not kept
                    batch.endings[ending_of(item.id)] += 1
                else:
                    stored = -1 if self._known is None else self._known.row_of(item, row)
                    changed.append((item, digest, stored))
        return changed
