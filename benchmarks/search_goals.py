"""The figures that the search is to reach, and whether what was measured reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.search_results import MILLION, Record, Results, built, questions, title

LIMIT = 1.1
"""How far the planner may fall behind the best path, and behind Faiss Flat on random codes."""


@dataclass(frozen=True)
class Goal:
    """A figure that issue 4 asks for, and what was measured."""

    operation: str
    on: str
    asked: str
    got: str
    reached: bool


def goals(found: Results) -> list[Goal]:
    """Every figure of the issue that was measured."""
    return [
        *_bucket_goals(found),
        *_radius_goals(found),
        *_nearest_goals(found),
        *_random_goals(found),
        *_planner_goals(found),
        *_process_goals(found),
    ]


def _bucket_goals(found: Results) -> Iterator[Goal]:
    for family in ("clustered", "uniform", "learned"):
        for n, least in ((MILLION, 6.0), (10 * MILLION, 10.0)):
            where = {"part": "questions", "family": family, "bits": 64, "n": n, "kind": "bucket"}
            on = f"{n:,} {family}, 64 bits"
            batch = found.times(**where, batch=10_000)
            if batch:
                yield _at_least("bucket, batch of 10,000", on, batch, "Faiss Hash", least)
                size = built(found, "questions", family, 64, n)["table"]["bytes_per_item"]
                yield Goal(
                    "the table's memory", on, "≤ 25 bytes an item", f"{size:.1f}", size <= 25
                )
            single = found.times(**where, batch=1)
            if single:
                own = single["table"]["us"]
                ratio = own / single["dict"]["us"]
                yield Goal(
                    "bucket, single (`TableIndex.bucket`)",
                    on,
                    "≤ 1.6 times a dict",
                    f"{ratio:.2f}",
                    ratio <= 1.6,
                )
                ratio = single["Faiss Hash"]["us"] / own
                yield Goal(
                    "the same", on, "≥ 8 times as fast as a Faiss call", f"{ratio:.1f}", ratio >= 8
                )


def _radius_goals(found: Results) -> Iterator[Goal]:
    wanted = [
        (family, 64, radius, least)
        for family in ("clustered", "uniform", "learned")
        for radius, least in ((1, 3.0), (2, 8.0), (3, 40.0))
    ]
    wanted += [("uniform", 24, radius, 4.0) for radius in (1, 2, 3, 4)]
    for family, bits, radius, least in wanted:
        times = found.times(
            part="questions",
            family=family,
            bits=bits,
            n=MILLION,
            kind="within",
            argument=radius,
        )
        rivals = [name for name in times if name.startswith("Faiss Hash")]
        if not rivals:
            continue
        # the figures were set against 32 bits of address; log2 n of them are better at times
        paper = max(rivals, key=lambda name: int(name.rpartition("=")[2]))
        best = min(rivals, key=lambda name: times[name]["us"])
        on = f"1,000,000 {family}, {bits} bits"
        yield _at_least(f"all within radius {radius}", on, times, paper, least)
        if best != paper:
            yield _at_least(f"all within radius {radius}", on, times, best, least)


def _nearest_goals(found: Results) -> Iterator[Goal]:
    for family in ("clustered", "learned"):
        for bits in (64, 128):
            where = {"part": "questions", "family": family, "bits": bits, "n": MILLION}
            where |= {"kind": "nearest"}
            on = f"1,000,000 {family}, {bits} bits"
            batch = found.times(**where, batch=500)
            if batch:
                yield _at_least("10-NN, batch of 500", on, batch, "Faiss Flat", 8.0)
                yield _at_least("10-NN, batch of 500", on, batch, "Faiss MultiHash", 5.0)
            single = found.times(**where, batch=1)
            if single:
                yield _at_least("10-NN, single", on, single, "Faiss Flat", 4.0)


def _random_goals(found: Results) -> Iterator[Goal]:
    for family, bits, n in found.settings("questions"):
        if family != "uniform":
            continue
        ratios = {}
        for times in questions(found.of("questions", family, bits, n)):
            if "Faiss Flat" in times:
                any_record = times["auto"]
                ratios[title(any_record)] = any_record["us"] / times["Faiss Flat"]["us"]
        if ratios:
            worst = max(ratios, key=ratios.__getitem__)
            yield Goal(
                "any question on random codes",
                f"{n:,} uniform, {bits} bits",
                f"≤ {LIMIT} times Faiss Flat",
                f"{ratios[worst]:.2f} ({worst})",
                ratios[worst] <= LIMIT,
            )


def _planner_goals(found: Results) -> Iterator[Goal]:
    cells = list(grid(found))
    if cells:
        behind = [cell for cell in cells if cell.ratio > LIMIT]
        worst, middle = max(cell.ratio for cell in cells), median(cell.ratio for cell in cells)
        yield Goal(
            "the planner, beside the best single path",
            f"{len(cells)} questions of the grid below",
            f"≤ {LIMIT} times, each",
            f"{len(cells) - len(behind)} of {len(cells)}; median {middle:.2f}, worst {worst:.2f}",
            not behind,
        )


def _process_goals(found: Results) -> Iterator[Goal]:
    for record in found.records:
        if record["kind"] == "open":
            on = f"{record['n']:,} codes of {record['bits']} bits"
            took = record["open_s"] + record["answer_s"]
            yield Goal("open, and the first answer", on, "< 1 s", f"{took:.2f} s", took < 1)
            share = record["resident_bytes"] / record["codes_bytes"]
            mib = record["resident_bytes"] / 2**20
            yield Goal(
                "resident memory after it",
                on,
                "< 2 times the codes",
                f"{share:.2f} ({mib:.0f} MiB)",
                share < 2,
            )
        elif record["kind"] == "cold":
            ratio = record["query_s"] / record["torch_s"]
            yield Goal(
                "a cold `hashret query`",
                f"{record['n']:,} items, {record['bits']} bits",
                "< half of `import torch`",
                f"{ratio:.2f} ({record['query_s']:.2f} s of {record['torch_s']:.2f} s)",
                ratio < 0.5,
            )


def _at_least(operation: str, on: str, times: dict[str, Record], rival: str, least: float) -> Goal:
    ratio = times[rival]["us"] / times["auto"]["us"]
    setting = times[rival]["setting"]
    against = rival + (f" ({setting})" if setting else "")
    reached = ratio >= least
    return Goal(operation, on, f"≥ {least:g} times {against}", f"{ratio:.1f}", reached)


@dataclass(frozen=True)
class Cell:
    """One question of the grid: the planner's time over that of the best single path."""

    family: str
    bits: int
    n: int
    question: str
    ratio: float
    best: str
    took: str


def grid(found: Results) -> Iterator[Cell]:
    for family, bits, n in found.settings("planner"):
        for times in questions(found.of("planner", family, bits, n)):
            single = {name: record for name, record in times.items() if name != "auto"}
            best = min(single, key=lambda name: single[name]["us"])
            auto = times["auto"]
            ratio = auto["us"] / single[best]["us"]
            yield Cell(family, bits, n, title(auto), ratio, best, auto["took"])
