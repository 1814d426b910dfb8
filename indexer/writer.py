"""The one writer of a collection: fit, add, remove, commit.

Nothing that an `Indexer` does is visible to readers before `commit`; leaving it without a
commit, or a crash at any point, leaves the last commit as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hashret.coder import Coder
from hashret.codes import Codes
from hashret.errors import CollectionError, EmptyCorpusError, PayloadError, UnknownItemError
from hashret.features import FEATURIZERS
from hashret.features.base import Featurizer
from hashret.items import Item
from hashret.registry import resolve
from hashret.store.catalog import Catalog, CommitRecord, ItemRecord
from hashret.store.catalog_staging import Staging
from hashret.store.layout import Layout
from hashret.store.lock import writer_lock
from hashret.store.model_files import read_model, write_model
from hashret.store.segments import SegmentRecord, write_segment
from indexer.corpus import Skipped
from indexer.encode import encode_items
from indexer.sample import reservoir
from indexer.tally import Progress, Stopwatch, Tally, silent

if TYPE_CHECKING:
    from indexer.training import TrainingOptions, TrainingReport

_BATCH = 1024  # items decoded and encoded at a time: bounds memory, amortises NumPy calls
_SEGMENT = 65_536  # rows of a segment: one transaction each, 0.5 MB of codes at 64 bits
MAX_TRAINING_ITEMS = 100_000
DUPLICATE = "duplicate id: expected each id once, got it again; rename one of them"


def item_digest(item: Item, kind: str) -> bytes:
    """What an item is known by: sha256 over its payload's content and its metadata, 32 bytes.

    Raises `PayloadError` for a payload of another kind and OSError for an unreadable file.
    """
    hasher = hashlib.sha256()
    resolve(FEATURIZERS, kind, "kind").digest(item.payload, hasher)
    hasher.update(b"\0" + json.dumps(dict(item.metadata), sort_keys=True).encode())
    return hasher.digest()


class Indexer:
    """Learns a collection's codes and writes its items.

    ``with Indexer(path, kind="text") as indexer: indexer.fit(items); indexer.add(items);
    indexer.commit()``. Only one writer at a time holds a collection (`LockedError` says who
    does, after `wait_seconds`); readers are not blocked. `tally` counts what became of the
    items, `stopwatch` where the time went.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        kind: str | None = None,
        *,
        wait_seconds: float = 0.0,
        on_progress: Progress = silent,
        on_skipped: Callable[[Skipped], None] | None = None,
    ):
        """Open the collection at `path` for writing, or create one for items of `kind`.

        Raises ValueError if there is no collection and no `kind`, or one of another kind.
        """
        if kind is None and not Layout.exists(path):
            raise ValueError(
                f"kind: expected one of {', '.join(FEATURIZERS)} for a new collection, got none; "
                "say what its items are"
            )
        if kind is not None:
            resolve(FEATURIZERS, kind, "kind")
        self._progress = on_progress
        self._on_skipped = on_skipped
        self._exit = ExitStack()
        is_new = not Layout.exists(path)
        self._layout = Layout.create(path)
        self._exit.enter_context(writer_lock(self._layout, wait_seconds))
        self._leave_nothing = is_new
        self._exit.callback(self._discard)
        try:
            self._open(kind)
        except BaseException:
            self._exit.close()
            raise

    def _open(self, kind: str | None) -> None:
        if kind is None:
            self._catalog = Catalog.open(self._layout, write=True)
        else:
            self._catalog = Catalog.create(self._layout, kind)
        self._exit.enter_context(self._catalog)
        if kind not in (None, self._catalog.kind):
            raise ValueError(
                f"kind: expected {self._catalog.kind!r} as in {self._layout.root}, got {kind!r}; "
                "index items of another kind into another collection"
            )
        self._model_name = self._catalog.last_commit().model
        self._coder: Coder | None = None
        self.description: dict[str, Any] = {}
        if self._model_name is not None:
            record = self._catalog.model(self._model_name)
            self.description, tensors = read_model(self._layout, record)
            self._coder = Coder.from_description(self.description, tensors)
        self._staging: Staging | None = None
        self._refitted = self._pruned = False
        self._removed: set[str] = set()
        self.tally = Tally(on_skipped=self._on_skipped)
        self.stopwatch = Stopwatch()

    def _discard(self) -> None:
        """A new collection that never had a commit is not left behind as an empty one."""
        if self._leave_nothing:
            self._layout.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up what was not committed and release the collection."""
        if self._staging is not None:
            self._staging.abandon()
            self._staging = None
        self._exit.close()

    @property
    def kind(self) -> str:
        """What the items are: "text", "image" or "vector"."""
        return self._catalog.kind

    @property
    def coder(self) -> Coder | None:
        """The model in use; before `fit` of a new collection there is none."""
        return self._coder

    @property
    def _staged(self) -> Staging:
        if self._staging is None:
            self._staging = self._catalog.begin()
        return self._staging

    # learning

    def fit(
        self,
        items: Iterable[Item | Skipped],
        options: TrainingOptions | None = None,
        *,
        spec: Any = None,
        max_items: int = MAX_TRAINING_ITEMS,
    ) -> TrainingReport:
        """Learn features and codes from `items`; members that can't be used are passed over.

        At most `max_items` of them, a seeded sample, are kept in memory and learned from. `spec`
        chooses the features (a `TextSpec`, `ImageSpec` or `VectorSpec`). If the collection has a
        model already, its items leave with it: add them again before `commit`. Raises
        `EmptyCorpusError` if not one item can be used, and `TrainingError`; the collection
        is then as it was.
        """
        from indexer.training import TrainingOptions, train  # torch: only those who learn wait

        options = options or TrainingOptions()
        with self.stopwatch.stage("read"):
            sample = reservoir(self._usable(items), max_items, options.seed)
        featurizer_class: type[Featurizer] = resolve(FEATURIZERS, self.kind, "kind")
        with self.stopwatch.stage("features"):
            if spec is None:
                spec = featurizer_class.suggest_spec([item.payload for item in sample])
            prepared = []
            for item in sample:
                try:
                    prepared.append(featurizer_class.prepare(item.payload, spec))
                except PayloadError:
                    continue  # `add` meets it again and reports it
            if not prepared:
                raise EmptyCorpusError(
                    f"corpus: expected at least one usable {self.kind} item, got {len(sample)} "
                    "items of which none can be used; `hashret index --dry-run` shows why"
                )
            featurizer = featurizer_class.fit(prepared, spec)
            features = featurizer.transform(prepared)
        encoder, report = train(features, self.kind, options, on_progress=self._on_training)
        for stage in report.stages:
            seconds = self.stopwatch.seconds
            seconds[stage.stage] = seconds.get(stage.stage, 0.0) + stage.seconds
        self._adopt(Coder(featurizer, encoder), report)
        return report

    def _on_training(self, stage: str, done: int, total: int, loss: float) -> None:
        self._progress(stage, done, total)

    def _usable(self, items: Iterable[Item | Skipped]) -> Iterator[Item]:
        for count, item in enumerate(items):
            if count % _BATCH == 0:
                self._progress("read", count, None)
            if isinstance(item, Item):
                yield item

    def _adopt(self, coder: Coder, report: TrainingReport) -> None:
        description, tensors = coder.describe()
        description["training"] = report.to_json()
        staging = self._staged
        name = f"m{staging.commit:06d}"
        with self.stopwatch.stage("write"):
            if self._coder is not None:
                staging.drop_all_segments()
                self._refitted = True
            record = write_model(self._layout, name, description, tensors, coder.n_bits)
            staging.add_model(record)
        self._model_name, self._coder, self.description = name, coder, description

    # writing

    def add(self, items: Iterable[Item | Skipped], *, total: int | None = None) -> Tally:
        """Add new items, replace those whose content or metadata changed, skip unchanged ones.

        A `Skipped` among the items is counted with its reason, and so is an item that can't be
        used or whose id came before in this run; a former version of it then stays. `total`, if
        known, is for progress only. Raises CollectionError before `fit`.
        """
        if self._coder is None:
            raise CollectionError(
                f"{self._layout.root}: expected a collection with a model, got a new one; "
                "call fit before add"
            )
        staging = self._staged
        pending: list[tuple[Item, bytes]] = []
        codes: list[np.ndarray] = []
        stream = iter(items)
        while batch := self._read_batch(stream):
            new = self._changed(staging, [item for item in batch if isinstance(item, Item)])
            self._set_aside(staging, [item for item in batch if isinstance(item, Skipped)])
            with self.stopwatch.stage("encode"):
                encoded = encode_items(self._coder, [item for item, _ in new.values()])
            for skipped in encoded.skipped:
                self.tally.skip(skipped)
            pending += [new[item.id] for item in encoded.items]
            codes.append(encoded.codes.packed)
            if len(pending) >= _SEGMENT:
                self._flush(staging, pending, codes)
                pending, codes = [], []
            self._progress("encode", self.tally.seen + len(pending), total)
        if pending:
            self._flush(staging, pending, codes)
        return self.tally

    def _set_aside(self, staging: Staging, skipped: list[Skipped]) -> None:
        """Count what can't be read; its id was seen, so pruning leaves a former version alone."""
        for item in skipped:
            self.tally.skip(item)
        staging.see([item.id for item in skipped])

    def _read_batch(self, stream: Iterator[Item | Skipped]) -> list[Item | Skipped]:
        with self.stopwatch.stage("read"):
            return list(islice(stream, _BATCH))

    def _changed(self, staging: Staging, items: list[Item]) -> dict[str, tuple[Item, bytes]]:
        """The items to encode, by id, with their content hash; the others are counted here."""
        with self.stopwatch.stage("catalog"):
            before = staging.see([item.id for item in items])
            known = staging.known([item.id for item in items])
        changed: dict[str, tuple[Item, bytes]] = {}
        with self.stopwatch.stage("read"):
            for item in items:
                if item.id in before:
                    self.tally.skip(Skipped(item.id, DUPLICATE, "duplicate-id"))
                    continue
                before.add(item.id)
                try:
                    digest = item_digest(item, self.kind)
                except (PayloadError, OSError) as error:
                    self.tally.skip(Skipped(item.id, str(error), "bad-payload"))
                    continue
                if item.id in known and known[item.id][1] == digest:
                    self.tally.unchanged += 1
                else:
                    changed[item.id] = (item, digest)
        return changed

    def _flush(
        self, staging: Staging, pending: list[tuple[Item, bytes]], codes: list[np.ndarray]
    ) -> None:
        with self.stopwatch.stage("write"):
            preview = resolve(FEATURIZERS, self.kind, "kind").preview
            first = staging.next_row
            known = staging.known([item.id for item, _ in pending])
            records = [
                ItemRecord(first + i, item.id, digest, dict(item.metadata), preview(item.payload))
                for i, (item, digest) in enumerate(pending)
            ]
            packed = Codes(np.concatenate(codes))
            name = f"c{staging.commit:06d}-{first:012d}"
            file = write_segment(self._layout, name, packed)
            segment = SegmentRecord(name, first, len(packed), packed.n_bits, file)
            staging.add_segment(segment, str(self._model_name), records)
            self.tally.replaced += len(known)
            self.tally.added += len(records) - len(known)

    def remove(self, ids: Iterable[str]) -> int:
        """Hide the items of these ids from the next commit on. Raises `UnknownItemError`.

        All or none: an unknown id leaves every one of them. Returns how many were removed.
        """
        asked = list(dict.fromkeys(ids))
        staging = self._staged
        known = staging.known(asked)
        for item_id in asked:
            if item_id not in known:
                raise UnknownItemError(
                    f"id: expected one of the {staging.n_live()} items of {self._layout.root}, "
                    f"got {item_id!r}; `hashret list` shows the ids"
                )
        staging.remove([row for row, _ in known.values()])
        self._removed.update(asked)
        self.tally.removed += len(asked)
        return len(asked)

    def prune(self) -> int:
        """Remove every item that was not among those given to `add` since the last commit."""
        staging = self._staged
        self._pruned = True
        removed = 0
        for page in staging.unseen():
            staging.remove([row for row, _ in page])
            removed += len(page)
        self.tally.removed += removed
        return removed

    def commit(self) -> CommitRecord:
        """Make everything since the last commit visible to readers, durably, all at once."""
        if self._model_name is None:
            raise CollectionError(
                f"{self._layout.root}: expected a collection with a model, got a new one; "
                "call fit and add before commit"
            )
        if self._refitted and not self._pruned:
            self._require_all_added_again()
        with self.stopwatch.stage("write"):
            record = self._staged.finish(self._model_name)
        self._staging = None
        self._leave_nothing = self._refitted = self._pruned = False
        self._removed.clear()
        return record

    def _require_all_added_again(self) -> None:
        """Codes of two models can't be compared, so an item left under the old one is lost."""
        missing, example = 0, ""
        for page in self._catalog.item_pages(self._catalog.last_commit().commit):
            ids = {record.id for record in page} - self._removed
            lost = ids - self._staged.known(sorted(ids)).keys()
            if lost:
                missing, example = missing + len(lost), min(lost)
        if missing:
            raise CollectionError(
                f"{self._layout.root}: expected every item again after a new model was learned, "
                f"got all but {missing} (as {example!r}); add them too, or prune to let them go"
            )
