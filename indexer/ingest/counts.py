"""Count what became of the items of a run, and the seconds of each stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

from hashret.workers.refusals import LEFT_OUT
from indexer.corpus import Skipped
from indexer.corpus.endings import counted, ending_of

#: Progress callback: called with (stage, amount done, amount in all or None if unknown).
Progress = Callable[[str, int, int | None], None]

_EXAMPLES = 3  # skipped items that a closing message shows
#: What every folder has: classes of which nobody has to mend anything, or all in one way.
_ORDINARY = LEFT_OUT | {"collection", "needs-extra", "other-type"}


def silent(stage: str, done: int, total: int | None) -> None:
    """A progress callback that does nothing."""


@dataclass(slots=True)
class Tally:
    """seen = added + replaced + unchanged + skipped; removed counts beside them.

    `uncoded` are those of the added and replaced ones that no code could be made of.
    `first_skipped` has the first few of each class; `on_skipped` is called with every one. `read`
    counts the others by the endings of their ids, and `endings` the skipped, by class and ending.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    removed: int = 0
    uncoded: int = 0
    codes_kept: int = 0
    """Those of the added and replaced ones whose text was stored with its code, which they keep."""
    left_over: int = 0
    """Those of the removed ones that were passages which their documents have no more."""
    encoded_again: int = 0
    """Items that the collection held, and that a new model has encoded without their source."""
    skipped: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    endings: dict[str, Counter[str]] = field(default_factory=dict)
    first_skipped: list[Skipped] = field(default_factory=list)
    on_skipped: Callable[[Skipped], None] | None = None

    @property
    def n_skipped(self) -> int:
        """How many items were skipped, whatever the reason."""
        return self.skipped.total()

    @property
    def seen(self) -> int:
        """How many items came in."""
        return self.added + self.replaced + self.unchanged + self.n_skipped

    @property
    def why_none(self) -> str:
        """The reason why no item was stored, in words."""
        if not self.seen:
            return (
                "no item was given to add; a generator that fit has read gives no more: "
                "pass a list, or make it again"
            )
        first = "".join(f" (the first: {s.id}: {s.reason})" for s in self.first_skipped[:1])
        return f"{self.n_skipped} of {self.seen} items given to add were skipped{first}"

    def count_read(self, endings: Counter[str]) -> None:
        """Count items that were not skipped, by ending."""
        for ending, n in endings.items():
            counted(self.read, ending, n)

    def skip(self, skipped: Skipped) -> None:
        """Count one skipped item."""
        self.skipped[skipped.error_class] += 1
        endings = self.endings.setdefault(skipped.error_class, Counter())
        counted(endings, ending_of(skipped.id))
        if self.skipped[skipped.error_class] <= _EXAMPLES:
            self.first_skipped.append(skipped)
        if self.on_skipped is not None:
            self.on_skipped(skipped)

    def examples(self) -> list[Skipped]:
        """Up to three of the first skipped that the user may want to mend, of the most frequent
        class first, and each of another class while there are some."""
        turns: Counter[str] = Counter()
        ranked = []
        for skipped in self.first_skipped:
            name = skipped.error_class
            if name not in _ORDINARY:
                ranked.append(((turns[name], -self.skipped[name]), skipped))
                turns[name] += 1
        ranked.sort(key=lambda pair: pair[0])
        return [skipped for _, skipped in ranked[:_EXAMPLES]]


class Stopwatch:
    """Wall-clock seconds by stage; a stage inside another is not counted twice."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block for the stage `name`."""
        self._turn()
        self._running.append(name)
        try:
            yield
        finally:
            self._turn()
            self._running.pop()

    def add(self, name: str, seconds: float) -> None:
        """Count seconds that were measured otherwise for the stage `name`."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def _turn(self) -> None:
        now = perf_counter()
        if self._running:
            self.add(self._running[-1], now - self._since)
        self._since = now
