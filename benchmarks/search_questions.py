"""The questions that paths are timed on, and how: in turns, each turn with fresh queries."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.search_data import Family
from benchmarks.search_paths import OWN, Ask, Held, Paths, as_bytes
from hashret.codes import Codes, Neighbors, ball_size

_CHECKED = 20  # queries on which answers are compared
_MOST_FLIPS = 5  # of Faiss MultiHash: tens of thousands of probes a query
_BATCHES = 32  # at most so many a turn
_MORE_TURNS = 4  # times as many, where they are short
# seconds of the same question before it is timed: the planner builds what pays, and of any path
# memory that nobody has asked for is cold, for a thousand look-ups and more in ten million codes
_WARM_PLANNER, _WARM = 5.0, 1.0


@dataclass(frozen=True)
class Question:
    """One question: fresh queries for a turn, and the paths that answer them."""

    kind: str
    """"bucket", "within" or "nearest"."""
    argument: int
    """The radius, or k."""
    batch: int
    """Queries a call; 1: asked one by one."""
    queries: Callable[[], np.ndarray]
    paths: dict[str, Ask]
    exact: frozenset[str] = frozenset()
    """The paths that must answer as Faiss Flat does; of the others the recall is measured."""
    settings: dict[str, str] = field(default_factory=dict)


def one_by_one(ask: Ask) -> Ask:
    """The same question with a call for each query."""
    return lambda queries: [ask(queries[i : i + 1]) for i in range(len(queries))]


def buckets(family: Family, paths: Paths, *, peers: bool = True) -> list[Question]:
    """Exact look-ups, half of them of stored codes."""
    table, auto = paths.own("table"), paths.own("auto")
    width = max(paths.hash_bits)  # an address of few codes: nothing to compare
    one = getattr(auto, "bucket", None)  # the path of a single code, where the planner has one

    def faiss_hash(queries: np.ndarray, size: int = 10_000) -> Any:
        ask = paths.hash(width, 0).range_search
        return [ask(queries[i : i + size], 1) for i in range(0, len(queries), size)]

    batch: dict[str, Ask] = {
        "auto": _own_within(paths.held("auto"), 0),
        "table": _own_within(paths.held("table"), 0),
    }
    single: dict[str, Ask] = {
        "auto": (lambda q: [one(code) for code in as_bytes(q)])
        if one
        else one_by_one(batch["auto"]),
        # without peers the planner is compared, with a path that answers in the same form
        "table": (lambda q: [table.bucket(code) for code in as_bytes(q)])
        if peers
        else one_by_one(batch["table"]),
    }
    if peers:
        batch["dict"] = lambda q: [paths.dict.get(code) for code in as_bytes(q)]
        batch["Faiss Hash"] = faiss_hash
        batch["SQLite"] = paths.sqlite_buckets
        single |= {"dict": batch["dict"], "SQLite": batch["SQLite"]}
        single["Faiss Hash"] = partial(faiss_hash, size=1)
    settings = {"Faiss Hash": f"b={width}"}
    agreeing = frozenset({"auto", "table", "Faiss Hash"} if peers else ())
    fresh = partial(family.look_ups, paths.packed)
    return [
        Question("bucket", 0, 10_000, lambda: fresh(10_000), batch, agreeing, settings),
        Question("bucket", 0, 1, lambda: fresh(1000), single, frozenset(), settings),
    ]


def within(family: Family, paths: Paths, radius: int, *, peers: bool = True) -> Question:
    """Everything within a radius, in batches of 200."""
    own = {name: paths.held(name) for name in OWN}
    if 10 * ball_size(paths.n_bits, radius) > paths.n:
        del own["table"]  # it would compare every code, as "scan" does
    asks: dict[str, Ask] = {name: _own_within(held, radius) for name, held in own.items()}
    # without peers the planner is compared, with paths that answer in the same form
    asks["Faiss Flat"] = (
        (lambda q: paths.flat.range_search(q, radius + 1))
        if peers
        else _own_within(paths.held("faiss-flat"), radius)
    )
    settings = {}
    for b in paths.hash_bits if peers else ():
        if ball_size(b, radius) < max(50_000, paths.n):
            name = f"Faiss Hash, b={b}"
            asks[name] = partial(_faiss_hash_within, paths, b, radius)
            settings[name] = f"nflip={radius}"
    return Question(
        "within", radius, 200, lambda: family.queries(200), asks, frozenset(asks), settings
    )


def _own_within(held: Held, radius: int) -> Ask:
    return lambda q: held.index.within(Codes(q), radius)


def _faiss_hash_within(paths: Paths, b: int, radius: int, queries: np.ndarray) -> Any:
    return paths.hash(b, radius).range_search(queries, radius + 1)


def nearest(
    family: Family,
    paths: Paths,
    k: int = 10,
    *,
    batch: int = 500,
    peers: bool = True,
    graphs: bool = False,
) -> list[Question]:
    """The k nearest, in batches and one by one."""
    own = {name: paths.held(name) for name in OWN if name != "table"}
    asks: dict[str, Ask] = {name: _own_search(held, k) for name, held in own.items()}
    asks["Faiss Flat"] = (
        (lambda q: paths.flat.search(q, k)) if peers else _own_search(paths.held("faiss-flat"), k)
    )
    single = {name: one_by_one(ask) for name, ask in asks.items()}
    exact, settings = set(asks), {}
    if peers:
        name, flips = "Faiss MultiHash", _flips_for(family, paths, k)
        asks[name] = partial(_multi_hash_search, paths, flips, k)
        settings[name] = f"nhash={paths.n_hashes}, nflip={flips}"
        asks["usearch exact"] = lambda q: paths.usearch_exact(q, k)
        exact.add("usearch exact")
        asks["Faiss IVF"] = lambda q: paths.ivf.search(q, k)
        settings["Faiss IVF"] = f"nlist={paths.ivf.nlist}, nprobe={paths.ivf.nprobe}"
        if graphs:
            asks["Faiss HNSW"] = lambda q: paths.graph.search(q, k)
            settings["Faiss HNSW"] = "M=16, efSearch=64"
            asks["usearch HNSW"] = lambda q: paths.usearch_graph.search(q, k, threads=1)
    return [
        Question(
            "nearest", k, batch, lambda: family.queries(batch), asks, frozenset(exact), settings
        ),
        Question("nearest", k, 1, lambda: family.queries(50), single, frozenset(exact)),
    ]


def _own_search(held: Held, k: int) -> Ask:
    return lambda q: held.index.search(Codes(q), k)


def _multi_hash_search(paths: Paths, flips: int, k: int, queries: np.ndarray) -> Any:
    paths.multi_hash.nflip = flips
    return paths.multi_hash.search(queries, k)


def _flips_for(family: Family, paths: Paths, k: int) -> int:
    """The flips at which MultiHash is exact: its caller must guess; here it is told.

    A code at distance d differs in some substring by at most d // n_hashes bits.
    """
    farthest = int(paths.flat.search(family.queries(64), min(k, paths.n))[0][:, -1].max())
    return min(farthest // paths.n_hashes, _MOST_FLIPS)


def distances_of(answer: Any) -> list[list[int]]:
    """The distances of each query's answer, nearest first, whoever gave it."""
    if isinstance(answer, list):  # one by one
        return [distances for part in answer for distances in distances_of(part)]
    if isinstance(answer, Neighbors):
        limits, distances = answer.limits, answer.distances
    elif hasattr(answer, "keys"):  # usearch's matches; of one query they have one dimension
        return [sorted(map(int, row)) for row in np.atleast_2d(answer.distances)]
    elif isinstance(answer, tuple) and len(answer) == 3:
        limits, distances, _ = answer
    else:
        found, rows = answer
        return [sorted(d[r >= 0].tolist()) for d, r in zip(found, rows, strict=True)]
    limits = limits.astype(np.int64)
    return [sorted(distances[a:b].tolist()) for a, b in pairwise(limits)]


def recalls(question: Question) -> dict[str, float]:
    """The share of the true answer that each path finds, ties being as good as one another.

    RuntimeError unless every exact path answers exactly as Faiss does where it is exact.
    """
    reference = "Faiss Hash" if question.kind == "bucket" else "Faiss Flat"
    if reference not in question.exact:
        return {}
    queries = question.queries()[:_CHECKED]
    truth = distances_of(question.paths[reference](queries))
    found = {}
    for name, ask in question.paths.items():
        if name in question.exact:
            if distances_of(ask(queries)) != truth:
                raise RuntimeError(f"{question.kind}: {name} and {reference} disagree")
            found[name] = 1.0
        elif question.kind == "nearest":
            shares = [
                sum(distance <= true[-1] for distance in near) / len(true)
                for near, true in zip(distances_of(ask(queries)), truth, strict=True)
            ]
            found[name] = float(np.mean(shares))
    return found


def measure(
    question: Question, turns: int, budget: float, when_warm: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Microseconds of CPU a query, the median turn of each path; `when_warm` is called before them.

    A turn of a path takes about `budget` seconds: a fast one is asked several batches, so that it
    is not its first cold ones that are timed, a slow one a part of a batch. Who comes first finds
    colder caches, and who follows Faiss takes up to twice as long for small questions: so the order
    is drawn anew each turn. Where turns are short there are up to `_MORE_TURNS` times as many.
    """
    taken: dict[str, list[float]] = {name: [] for name in question.paths}
    counts = {name: _affordable(question, name, budget) for name in question.paths}
    when_warm()
    order, rng = list(question.paths), np.random.default_rng(turns)
    enough = time.process_time() + turns * len(order) * budget
    for turn in range(_MORE_TURNS * turns):
        if turn >= turns and time.process_time() > enough:
            break
        batches = [question.queries() for _ in range(_BATCHES)]
        gc.collect()
        gc.disable()
        rng.shuffle(order)
        for name in order:
            taken[name].append(_seconds(question.paths[name], batches, counts[name]))
        gc.enable()
    return {name: 1e6 * float(np.median(times)) for name, times in taken.items()}


def _seconds(ask: Ask, batches: list[np.ndarray], n: int) -> float:
    """What each of the first n queries takes."""
    done, start = 0, time.process_time()
    for batch in batches:
        part = batch[: n - done]
        if len(part):
            ask(part)
            done += len(part)
    return (time.process_time() - start) / done


def _affordable(question: Question, name: str, budget: float) -> int:
    """How many queries a path answers in the time of a turn, once it is warm."""
    ask, queries = question.paths[name], question.queries()
    # what a path builds when it is first asked is not the answer's time; the planner builds what
    # the whole batch pays for
    ask(queries if name == "auto" else queries[:1])
    n, asked, recent = min(2, len(queries)), 0.0, [float("inf")] * 3
    while True:
        now = _time_of(ask, queries[:n])
        # what the planner builds is no practice: of ten million codes it takes longer than that
        asked += min(now, budget) if name == "auto" else now
        recent = [*recent[1:], now]
        took = min(recent)  # not a call in which the planner built something
        if n < len(queries) and took < budget / 4:
            n, recent = min(len(queries), 8 * n), [float("inf")] * 3
        elif asked > (_WARM_PLANNER if name == "auto" else _WARM):
            break
    count = max(1, min(_BATCHES * len(queries), int(n * budget / took)))
    if count >= len(queries):
        return count - count % len(queries)
    # a part of a batch is another sort of question to the planner
    asked = 0.0
    while name == "auto" and asked < _WARM_PLANNER:
        asked += min(_time_of(ask, queries[:count]), budget)
    return count


def _time_of(ask: Ask, queries: np.ndarray) -> float:
    """Seconds of CPU that a call takes."""
    start = time.process_time()
    ask(queries)
    return max(time.process_time() - start, 1e-9)
