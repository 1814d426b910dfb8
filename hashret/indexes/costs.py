"""What the steps of each path cost, in nanoseconds, with NumPy and with kernels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Costs:
    """Each field: ns of one call, of one query of a call, or of one step of a query.

    A word is 64 bits of one compared code; a probe one look-up in the hash table; work one
    probe or candidate of multi-index hashing, which also pays for each step of a call, all
    queries together. A call goes to every cluster; a pair is a code's word and a centre, compared
    to build clusters.
    """

    scan_call: float
    scan_query: float
    scan_word: float
    table_call: float
    table_query: float
    table_probe: float
    multi_call: float
    multi_step: float
    multi_query: float
    multi_work: float
    clusters_call: float
    clusters_cluster: float
    clusters_query: float
    clusters_word: float
    clusters_pair: float
    flat_call: float = 100e3
    flat_query: float = 5e3
    flat_word: float = 0.6


# Measured on one thread of a recent x86-64 server; `hashret.indexes.calibration` measures here.
NUMPY = Costs(
    scan_call=30e3,
    scan_query=40e3,
    scan_word=0.9,
    table_call=15e3,
    table_query=60.0,
    table_probe=12.0,
    multi_call=100e3,
    multi_step=60e3,
    multi_query=2e3,
    multi_work=22.0,
    clusters_call=30e3,
    clusters_cluster=10.0,
    clusters_query=90e3,
    clusters_word=9.0,
    clusters_pair=2.2,
)
COMPILED = Costs(
    scan_call=8e3,
    scan_query=1.3e3,
    scan_word=0.28,
    table_call=5e3,
    table_query=45.0,
    table_probe=8.0,
    multi_call=25e3,
    multi_step=0.0,
    multi_query=1e3,
    multi_work=10.0,
    clusters_call=10e3,
    clusters_cluster=40.0,
    clusters_query=500.0,
    clusters_word=0.5,
    clusters_pair=0.6,
)

_measured: dict[bool, Costs] = {}  # with kernels or without, where they were measured


def current(with_kernels: bool) -> Costs:
    """What is known best: the costs measured on this machine, or those above."""
    return _measured.get(with_kernels, COMPILED if with_kernels else NUMPY)


def is_measured(with_kernels: bool) -> bool:
    """Whether `use` has been told."""
    return with_kernels in _measured


def use(costs: Costs, with_kernels: bool) -> None:
    """Plan by these costs from now on, in the whole process."""
    _measured[with_kernels] = costs


# Once for an index: ns a code (and substring, and word), and for loading what it needs.
TABLE_BUILD, MULTI_BUILD, CLUSTERS_BUILD, FLAT_BUILD = 150.0, 35.0, 100.0, 2.0
DISTINCT = 60.0  # for those that are built over distinct codes, to find them
LOOK = 8e6  # at a sample, for what clusters would leave to compare
FLAT_LOAD = 150e6  # importing Faiss
KERNELS_LOAD = 500e6  # importing Numba and reading what it has compiled
KERNELS_COMPILE = 40e9  # if nobody has compiled them yet
