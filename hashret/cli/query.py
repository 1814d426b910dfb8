"""The verbs that ask: query and similar.

Nothing heavy is imported before it is needed: a query for text loads neither torch nor Faiss.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret._backports import chunks
from hashret.cli.files import lines_of
from hashret.cli.output import (
    approximation_json,
    collection_argument,
    fail,
    hit_json,
    json_lines_option,
    main,
    none_because,
    opened,
    show_hits,
    where_option,
)
from hashret.cli.payloads import of_line, payload_of

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.items import Hits


_BATCH = 1024  # queries of a batch file encoded and searched at a time

rerank_option = click.option(
    "--rerank",
    type=click.IntRange(min=0),
    metavar="N",
    help="Order the N nearest by the similarity of their features, and show the best of them; 0 "
    "orders by codes alone.  [default: none; copies of an image come first]",
)
index_option = click.option(
    "--index",
    "index",
    metavar="NAME",
    help="Take this path; faiss-hnsw, -ivf, -hash and -multihash may miss some of the nearest.",
)
explain_option = click.option(
    "--explain", is_flag=True, help="Say on standard error how the hits were found."
)


@main.command(short_help="The items nearest to a text, an image or a vector.")
@collection_argument
@click.argument("text", required=False)
@click.option("--file", "file", type=click.Path(path_type=Path), help="Query with this file.")
@click.option("--id", "item_id", metavar="ID", help="Query with the stored item of this id.")
@click.option(
    "--batch",
    type=click.Path(path_type=Path),
    help="A .jsonl or .jsonl.gz file with a query a line: id, and text, path or vector.",
)
@click.option("-k", "k", type=click.IntRange(min=1), help="How many hits.  [default: 10]")
@click.option("--radius", type=click.IntRange(min=0), help="All hits within so many bits.")
@click.option("--bucket", is_flag=True, help="All hits with exactly the query's code.")
@click.option("--asymmetric", is_flag=True, help="Order all items by score, not by distance.")
@click.option(
    "--probes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Order by score; look only at the N buckets that differ in the least certain bits.",
)
@rerank_option
@where_option
@index_option
@explain_option
@json_lines_option
def query(
    collection: Path,
    text: str | None,
    file: Path | None,
    item_id: str | None,
    batch: Path | None,
    k: int | None,
    radius: int | None,
    bucket: bool,
    asymmetric: bool,
    probes: int | None,
    rerank: int | None,
    where: str | None,
    index: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """The items of COLLECTION nearest to TEXT ("-" reads standard input).

    Hits are ordered by Hamming distance in bits, then by score. With --radius or --bucket all
    hits within that distance are shown (-k then cuts the list).
    """
    if sum(given is not None for given in (text, file, item_id, batch)) != 1:
        raise click.UsageError("expected exactly one of TEXT, --file, --id and --batch")
    if bucket and radius is not None:
        raise click.UsageError("--bucket is --radius 0: give one of them")
    ask = _Question(k, 0 if bucket else radius, rerank, asymmetric, where, index, probes)
    ask.require_consistent(of_stored=item_id is not None)
    with opened(collection) as snapshot:
        if batch is not None:
            _answer_batch(snapshot, batch, ask, explain)
            return
        if item_id is not None:
            hits = _about_stored(snapshot, item_id, ask)
        else:
            hits = _ask(snapshot, [payload_of(snapshot.kind, text, file)], ask)[0]
        _show(snapshot, hits, where, as_json, explain)


@dataclass(frozen=True, slots=True)
class _Question:
    """How many hits are wanted, within what radius, in what order, ranked again, among which.

    And by the path of which index, where one is named.
    """

    k: int | None
    within: int | None
    rerank: int | None
    asymmetric: bool = False
    where: str | None = None
    index: str | None = None
    probes: int | None = None

    @property
    def n_hits(self) -> int:
        return self.k or min(10, self.rerank or 10)

    def require_consistent(self, *, of_stored: bool) -> None:
        """Raise `click.UsageError` for options that exclude each other.

        `of_stored`: it is asked about a stored item, of which there is no payload to weigh bits.
        """
        no_payload = self.within is not None or of_stored
        if self.rerank and self.within is not None:
            raise click.UsageError("--rerank orders the N nearest: leave out --radius and --bucket")
        if self.rerank and self.rerank < self.n_hits:
            raise click.UsageError(
                f"--rerank: expected at least -k, {self.n_hits}, got {self.rerank}; rank as many "
                "as are to be shown"
            )
        if self.asymmetric and no_payload:
            raise click.UsageError(
                "--asymmetric: expected a payload and no distance; leave out --id, --radius, "
                "--bucket"
            )
        if self.probes is not None and (no_payload or self.index is not None):
            raise click.UsageError(
                "--probes: expected a payload and no distance; leave out --id, --radius, --bucket "
                "and --index"
            )
        if self.index is not None and (
            self.asymmetric or self.where is not None or self.within is not None
        ):
            raise click.UsageError(
                "--index: expected a question for the nearest by distance among all items; leave "
                "out --where, --radius, --bucket, --asymmetric, which are answered exactly without "
                "it"
            )


def _ask(snapshot: Collection, payloads: list[Any], ask: _Question) -> list[Hits]:
    if ask.within is None:
        return snapshot.query(
            payloads,
            k=ask.n_hits,
            asymmetric=ask.asymmetric,
            probes=ask.probes,
            rerank=ask.rerank,
            where=ask.where,
            index=ask.index,
        )
    answers = snapshot.within(payloads, radius=ask.within, where=ask.where)
    return [_cut(hits, ask.k) for hits in answers]


def _about_stored(snapshot: Collection, item_id: str, ask: _Question) -> Hits:
    if ask.within is None:
        return snapshot.similar(
            item_id,
            k=ask.n_hits,
            include_self=True,
            rerank=ask.rerank,
            where=ask.where,
            index=ask.index,
        )
    hits = snapshot.similar_within(item_id, radius=ask.within, include_self=True, where=ask.where)
    return _cut(hits, ask.k)


def _cut(hits: Hits, k: int | None) -> Hits:
    from hashret.items import Hits

    return Hits(hits[:k], hits.note, hits.complete_radius, hits.approximation, hits.plan)


def _answer_batch(snapshot: Collection, path: Path, ask: _Question, explain: bool) -> None:
    """A line out for every line in, in order; a query that can't be used says so in its line."""
    failed = 0
    lines = lines_of(path, "JSON lines")
    for numbered in chunks(enumerate(lines, start=1), _BATCH):
        asked: list[tuple[str, Any, str]] = []  # id, payload, error
        for number, line in numbered:
            if line.strip():
                asked.append(of_line(snapshot, path, number, line))
        usable = [payload for _, payload, error in asked if not error]
        answers = iter(_ask(snapshot, usable, ask))
        for query_id, _, error in asked:
            answer: dict[str, Any] = {"query": query_id}
            if error:
                failed += 1
                answer |= {"hits": [], "error": error}
            else:
                hits = next(answers)
                answer["hits"] = [hit_json(hit) for hit in hits]
                if hits.note:
                    answer["note"] = hits.note
                if hits.approximation:
                    answer["approximate"] = approximation_json(hits.approximation)
                if explain and hits.plan is not None:
                    answer["plan"] = hits.plan.to_json()
            click.echo(json.dumps(answer))
    if failed:
        fail(f"{path}: {failed} queries could not be used; their lines say why")


@main.command(short_help="The items nearest to a stored item.")
@collection_argument
@click.argument("item_id", metavar="ID")
@click.option("-k", "k", type=click.IntRange(min=1), help="How many hits.  [default: 10]")
@rerank_option
@where_option
@explain_option
@json_lines_option
def similar(
    collection: Path,
    item_id: str,
    k: int | None,
    rerank: int | None,
    where: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """The items of COLLECTION nearest to its item ID, without the item itself."""
    ask = _Question(k, None, rerank)
    ask.require_consistent(of_stored=True)
    with opened(collection) as snapshot:
        hits = snapshot.similar(item_id, k=ask.n_hits, rerank=rerank, where=where)
        _show(snapshot, hits, where, as_json, explain)


def _show(
    snapshot: Collection, hits: Hits, where: str | None, as_json: bool, explain: bool
) -> None:
    show_hits(hits, as_json, "" if len(hits) else none_because(snapshot, where))
    if explain and hits.plan is not None:
        click.echo(str(hits.plan), err=True)
