"""The verbs that ask: query and similar.

Nothing heavy is imported before it is needed: a query for text loads neither torch nor Faiss.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret._backports import chunks
from hashret.cli.files import lines_of
from hashret.cli.group import fail
from hashret.cli.output import (
    approximation_json,
    collection_argument,
    hit_json,
    json_lines_option,
    none_because,
    opened,
    show_hits,
    where_option,
)
from hashret.cli.payloads import of_line, payload_of

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.items import Hits
    from hashret.search.question import Question


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


@click.command()
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
    question = _question(
        item_id is not None,
        k,
        rerank,
        radius=0 if bucket else radius,
        order="score" if asymmetric or probes is not None else "distance",
        probes=probes,
        where=where,
        index=index,
    )
    with opened(collection) as snapshot:
        if batch is not None:
            _answer_batch(snapshot, batch, question, explain)
            return
        if item_id is not None:
            hits = snapshot.ask_similar(question, item_id, include_self=True)
        else:
            hits = snapshot.ask(question, [payload_of(snapshot.kind, text, file)])[0]
        _show(snapshot, hits, where, as_json, explain)


#: What the fields of a question are called here.
_FLAGS = {
    "k": "-k",
    "radius": "--radius",
    "order": "--asymmetric",
    "probes": "--probes",
    "rerank": "--rerank",
    "where": "--where",
    "index": "--index",
}


def _question(of_stored: bool, k: int | None, rerank: int | None, **asked: Any) -> Question:
    """What the options ask, of a stored item or of a payload; `click.UsageError` if they can't."""
    from hashret.search.question import Question, QuestionError

    if k is None and asked.get("radius") is None:
        k = min(10, rerank or 10)
    try:
        question = Question(k, rerank=rerank, **asked)
        if of_stored:
            question.require_of_stored()
    except QuestionError as error:
        raise click.UsageError(error.under(_FLAGS)) from error
    return question


def _answer_batch(snapshot: Collection, path: Path, question: Question, explain: bool) -> None:
    """A line out for every line in, in order; a query that can't be used says so in its line."""
    failed = 0
    lines = lines_of(path, "JSON lines")
    for numbered in chunks(enumerate(lines, start=1), _BATCH):
        asked: list[tuple[str, Any, str]] = []  # id, payload, error
        for number, line in numbered:
            if line.strip():
                asked.append(of_line(snapshot, path, number, line))
        usable = [payload for _, payload, error in asked if not error]
        answers = iter(snapshot.ask(question, usable))
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


@click.command()
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
    question = _question(True, k, rerank, where=where)
    with opened(collection) as snapshot:
        hits = snapshot.ask_similar(question, item_id)
        _show(snapshot, hits, where, as_json, explain)


def _show(
    snapshot: Collection, hits: Hits, where: str | None, as_json: bool, explain: bool
) -> None:
    show_hits(hits, as_json, "" if len(hits) else none_because(snapshot, where))
    if explain and hits.plan is not None:
        click.echo(str(hits.plan), err=True)
