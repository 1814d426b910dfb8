"""The verbs that search: query and similar.

Heavy packages are imported only when they are needed: a text query loads neither torch nor Faiss.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret._backports import chunks
from hashret.as_json import hit_json
from hashret.cli.files import lines_of
from hashret.cli.group import fail, shown
from hashret.cli.output import (
    collection_argument,
    commit_option,
    json_lines_option,
    label_json,
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


_BATCH = 1024  # queries of a batch file that are encoded and searched at a time
#: Bytes of texts, compressed, whose words are read before the first question that they answer: so
#: many that it is said, because it takes a second.
_MANY_UNREAD = 3_000_000

rerank_option = click.option(
    "--rerank",
    type=click.IntRange(min=0),
    metavar="N",
    help="Take the N nearest codes and order them by their words (of a question in words), or by "
    "the similarity of their features; 0 orders by codes alone.  [default: copies of an image come "
    "first]",
)
rerank_by_option = click.option(
    "--rerank-by",
    type=click.Choice(["words", "features"]),
    help="What orders the shortlist of --rerank.  [default: words for a text of at most 32 words, "
    "else features]",
)
index_option = click.option(
    "--index",
    "index",
    metavar="NAME",
    help="Search method. Exact: auto, scan, table, multi-index, clusters, faiss-flat. "
    "Approximate: faiss-hnsw, faiss-ivf, faiss-hash, faiss-multihash.  [default: auto]",
)
group_option = click.option(
    "--group",
    metavar="FIELD",
    help="Show only the best hit for each value of this metadata field, as `document` for the best "
    "passage of each.",
)
text_option = click.option(
    "--text", "with_text", is_flag=True, help="With JSON: add the whole text of each hit."
)
explain_option = click.option(
    "--explain", is_flag=True, help="Show on standard error how the hits were found."
)


@click.command()
@collection_argument
@click.argument("text", required=False)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    help="Query with the text, image or vector in this file.",
)
@click.option("--id", "item_id", metavar="ID", help="Query with the stored item that has this id.")
@click.option(
    "--batch",
    type=click.Path(path_type=Path),
    help="Answer every query of a .jsonl or .jsonl.gz file. Each line has an id, and text, path "
    "or vector.",
)
@click.option("-k", "k", type=click.IntRange(min=1), help="Number of hits.  [default: 10]")
@click.option(
    "--radius",
    type=click.IntRange(min=0),
    metavar="BITS",
    help="Show all items within so many bits, inclusive.",
)
@click.option("--bucket", is_flag=True, help="Show all items with exactly the query's code.")
@click.option(
    "--asymmetric", is_flag=True, help="Compare every code, and order by score, not by distance."
)
@click.option(
    "--probes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Order by score, but open only N buckets: that of the query's code, then those that "
    "differ in the bits the query is least sure of.",
)
@rerank_option
@rerank_by_option
@click.option(
    "--hybrid/--codes-only",
    default=None,
    help="Find texts by words and codes, or by codes alone.  [default: words and codes for a text "
    "of at most 32 words, unless another order, a distance or an index is asked for; with --group, "
    "words order the 1,000 nearest codes]",
)
@where_option
@group_option
@index_option
@commit_option
@explain_option
@text_option
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
    rerank_by: str | None,
    hybrid: bool | None,
    where: str | None,
    group: str | None,
    index: str | None,
    commit: int | None,
    explain: bool,
    with_text: bool,
    as_json: bool,
) -> None:
    """Show the items of COLLECTION nearest to TEXT ("-" reads standard input).

    A question in words finds texts by words and codes. Otherwise hits are ordered by Hamming
    distance in bits, then by score. With --radius or --bucket, all items within that distance are
    shown; -k then limits their number.
    """
    if sum(given is not None for given in (text, file, item_id, batch)) != 1:
        raise click.UsageError("expected exactly one of TEXT, --file, --id and --batch")
    if bucket and radius is not None:
        raise click.UsageError("--bucket is --radius 0: give one of them")
    _require_json(with_text, as_json or batch is not None)
    if hybrid and asymmetric:
        raise click.UsageError("--hybrid: expected no --asymmetric beside it; leave one out")
    by_score = asymmetric or probes is not None
    question = _question(
        item_id is not None,
        k,
        rerank,
        radius=0 if bucket else radius,
        order="hybrid" if hybrid else "score" if by_score else "distance",
        probes=probes,
        rerank_by=rerank_by,
        where=where,
        index=index,
        group=group,
    )
    with opened(collection, commit) as snapshot:
        _say_if_alone(snapshot, group)
        if hybrid is None and item_id is None:
            question = _suited(snapshot, question)
        announce_reading(snapshot, question)
        if batch is not None:
            _answer_batch(snapshot, batch, question, explain, with_text)
            return
        ask: Callable[[Question], Any]
        if item_id is not None:
            ask = partial(snapshot.ask_similar, ids=item_id, include_self=True)
        else:
            payload = payload_of(snapshot.kind, text, file)
            ask = lambda question: snapshot.ask(question, [payload])[0]  # noqa: E731
        _show(snapshot, question, ask, as_json, explain, with_text)


#: The option for each field of a question.
_FLAGS = {
    "k": "-k",
    "radius": "--radius",
    "order": "--asymmetric",
    "probes": "--probes",
    "rerank": "--rerank",
    "rerank_by": "--rerank-by",
    "hybrid": "--hybrid",
    "where": "--where",
    "index": "--index",
    "group": "--group",
}


def _question(of_stored: bool, k: int | None, rerank: int | None, **fields: Any) -> Question:
    """The question that the options describe, about a stored item or a payload.

    Raises `click.UsageError` if they do not go together.
    """
    from hashret.search.question import Question, QuestionError

    if k is None and fields.get("radius") is None:
        k = min(10, rerank or 10)
    try:
        question = Question(k, rerank=rerank, **fields)
        if of_stored:
            question.require_of_stored()
    except QuestionError as error:
        raise click.UsageError(error.under(_FLAGS)) from error
    return question


def _suited(snapshot: Collection, question: Question) -> Question:
    """The question in the order that suits it; says so where too many words would be read first."""
    suited = snapshot.suited(question)
    is_plain = question.asks_no_order and snapshot.keeps_texts
    if suited is question and is_plain and snapshot.snapshot.model is not None:
        click.echo(
            f"by codes alone: the words of {snapshot.n_unread_bytes / 1e6:,.0f} MB of texts were "
            "not read yet; --hybrid reads them, once, in minutes",
            err=True,
        )
    return suited


def announce_reading(snapshot: Collection, question: Question) -> None:
    """Say that words are read first, where that takes more than a moment."""
    asks_words = question.is_hybrid or question.is_open or question.rerank_by == "words"
    if asks_words and snapshot.keeps_texts:
        unread = snapshot.n_unread_bytes
        if unread > _MANY_UNREAD:
            click.echo(f"reading the words of {unread / 1e6:,.0f} MB of texts, once", err=True)


def _require_json(with_text: bool, as_json: bool) -> None:
    if with_text and not as_json:
        raise click.UsageError("--text goes with --json or --batch: a line has no room for a text")


def _answer_batch(
    snapshot: Collection, path: Path, question: Question, explain: bool, with_text: bool
) -> None:
    """Write one line for every query of the file, in its order: the hits, or what is wrong."""
    failed = 0
    lines = lines_of(path, "JSON lines")
    for numbered in chunks(enumerate(lines, start=1), _BATCH):
        queries: list[tuple[str, Any, str]] = []  # id, payload, error
        for number, line in numbered:
            if line.strip():
                queries.append(of_line(snapshot, path, number, line))
        usable = [payload for _, payload, error in queries if not error]
        answers = iter(snapshot.ask(question, usable))
        for query_id, _, error in queries:
            answer: dict[str, Any] = {"query": query_id}
            if error:
                failed += 1
                answer |= {"hits": [], "error": error}
            else:
                hits = next(answers)
                answer["hits"] = [hit_json(hit, with_text=with_text) for hit in hits]
                if hits.note:
                    answer["note"] = hits.note
                answer |= label_json(hits)
                if explain and hits.plan is not None:
                    answer["plan"] = hits.plan.to_json()
            click.echo(json.dumps(answer))
    if failed:
        fail(f"{path}: {failed} queries could not be used; see the key error in their lines")


@click.command()
@collection_argument
@click.argument("item_id", metavar="ID")
@click.option("-k", "k", type=click.IntRange(min=1), help="Number of hits.  [default: 10]")
@rerank_option
@rerank_by_option
@where_option
@group_option
@commit_option
@explain_option
@text_option
@json_lines_option
def similar(
    collection: Path,
    item_id: str,
    k: int | None,
    rerank: int | None,
    rerank_by: str | None,
    where: str | None,
    group: str | None,
    commit: int | None,
    explain: bool,
    with_text: bool,
    as_json: bool,
) -> None:
    """Show the items of COLLECTION nearest to its item ID, without that item."""
    _require_json(with_text, as_json)
    question = _question(True, k, rerank, rerank_by=rerank_by, where=where, group=group)
    with opened(collection, commit) as snapshot:
        _say_if_alone(snapshot, group)
        ask = partial(snapshot.ask_similar, ids=item_id)
        _show(snapshot, question, ask, as_json, explain, with_text)


def _say_if_alone(snapshot: Collection, group: str | None) -> None:
    """Say so where no item has the field, so that each is a group by itself."""
    if group is not None and snapshot.groups(group).has_none:
        named = shown(repr(group))
        click.echo(f"--group: no item has a field {named}, so each is one by itself", err=True)


def _show(
    snapshot: Collection,
    question: Question,
    ask: Callable[[Question], Hits],
    as_json: bool,
    explain: bool,
    with_text: bool,
) -> None:
    """Ask the question and show the hits, or why there are none."""
    hits = ask(question)
    why = "" if len(hits) else _why_none(snapshot, question, hits.note, ask)
    show_hits(hits, as_json, why, with_text=with_text)
    if explain and hits.plan is not None:
        click.echo(str(hits.plan), err=True)


def _why_none(
    snapshot: Collection, question: Question, note: str, ask: Callable[[Question], Hits]
) -> str:
    """Why the question has no hits; beyond a radius, how near the nearest item is."""
    if note:
        return f"no hits: {note}{none_because(snapshot, question.where)}"
    if question.radius is not None:
        nearest = ask(replace(question, k=1, radius=None, rerank=0, rerank_by=None))
        for hit in nearest:
            bits = hit.distance
            within = f"within {question.radius} bit{'s' * (question.radius != 1)}"
            return f"no hits {within}; the nearest is at {bits} (try --radius {bits})"
    return "no hits: the collection has no other item"
