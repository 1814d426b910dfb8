"""The verbs that search: query and similar.

Heavy packages are imported only when they are needed: a text query loads neither torch nor Faiss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.batch import answer_batch
from hashret.cli.group import shown
from hashret.cli.output import (
    collection_argument,
    commit_option,
    json_lines_option,
    opened,
    show_hits,
    where_option,
)
from hashret.cli.payloads import is_name_of_file, payload_of
from hashret.cli.reasons import why_none
from hashret.kinds import kind_of

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.items import Hits
    from hashret.search.question import Question


#: Bytes of texts, compressed, whose words are read before the first question that they answer: so
#: many that it is said, because it takes a second.
_MANY_UNREAD = 3_000_000

#: Characters of a question in words; a longer text asks for more like it.
_LONGEST_QUESTION = 300

rerank_option = click.option(
    "--rerank",
    type=click.IntRange(min=0),
    metavar="N",
    help="Sort N of the nearest again, by the query's words or by features (--rerank-by); 0: by "
    "codes alone.  [default: not sorted again, but copies of an image come first, and at most "
    "300 texts are all sorted by codes and features]",
)


def _rerank_by_option(default: str) -> Callable[[Any], Any]:
    """The option --rerank-by of a verb; the help names its `default`."""
    return click.option(
        "--rerank-by",
        type=click.Choice(["words", "features", "both"]),
        help="Sort the items of --rerank by the query's words, by what their codes were made from, "
        f"or by codes and features together.  [default: {default}]",
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
    help="Show only the best hit for each value of this metadata field; --group document shows the "
    "best passage of each document.",
)
text_option = click.option(
    "--text",
    "with_text",
    is_flag=True,
    help="With --json or --batch: add the whole text of each hit.",
)
explain_option = click.option(
    "--explain",
    is_flag=True,
    help="Say on standard error how the search was done, and with how much work.",
)


@click.command()
@collection_argument
@click.argument("text", required=False)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    help="Query with the text, image, vector or sequence in this file.",
)
@click.option("--id", "item_id", metavar="ID", help="Query with the stored item that has this id.")
@click.option(
    "--batch",
    type=click.Path(path_type=Path),
    help="Answer every query of a .jsonl or .jsonl.gz file, a line of JSON each. A query is a line "
    "with an id, and a text, a path or a vector.",
)
@click.option(
    "-k", "k", type=click.IntRange(min=1), metavar="N", help="Number of hits.  [default: 10]"
)
@click.option(
    "--radius",
    type=click.IntRange(min=0),
    metavar="BITS",
    help="Show all items within so many bits, inclusive.",
)
@click.option("--bucket", is_flag=True, help="Show all items with exactly the query's code.")
@click.option(
    "--asymmetric",
    is_flag=True,
    help="Order all items by the share of bits expected to agree, given how sure the query is of "
    "each of its bits.",
)
@click.option(
    "--probes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Order as --asymmetric does, but look only into N buckets: the query's own, then those "
    "that differ in the bits it is least sure of.",
)
@rerank_option
@_rerank_by_option("words for a text of at most 32 words, else features")
@click.option(
    "--hybrid/--codes-only",
    default=None,
    help="Find texts by words and codes together, or by codes alone.  [default: by both for a text "
    "of at most 32 words, unless --radius, --bucket, --asymmetric, --probes, --rerank or --index "
    "is given]",
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
    """Show the items of COLLECTION nearest to TEXT; - reads the text from standard input.

    A short text (at most 32 words) is a question: texts with its words and texts with near codes
    are ranked together. A longer text, an image or a vector asks for items like it, by codes: the
    fewer bits differ, the better. Copies of an image come first, and at most 300 texts are ordered
    by features too. With --radius or --bucket all items that near are shown, and -k limits their
    number.

    On a terminal hits are shown as a table, in a pipe as lines with tabs between their columns.
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
        if hybrid is None:
            question = _suited(snapshot, question, of_stored=item_id is not None)
        announce_reading(snapshot, question, of_stored=item_id is not None)
        if batch is not None:
            answer_batch(snapshot, batch, question, explain=explain, with_text=with_text)
            return
        ask: Callable[[Question], Any]
        payload = None
        if item_id is not None:
            ask = partial(snapshot.ask_similar, ids=item_id, include_self=True)
        else:
            payload = payload_of(snapshot.kind, text, file)
            if text and payload is text and is_name_of_file(text):
                click.echo(
                    f"{shown(text)} is a file, and its name was searched for; to query with what "
                    f"is in it use --file {shown(text)}",
                    err=True,
                )
            from hashret.items import Item  # when it is needed: NumPy takes a moment

            # as an item, since a payload can be a list
            ask = partial(snapshot.ask, item_or_items=Item("", payload))
        _show(snapshot, question, ask, payload, as_json, explain, with_text)


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


def _suited(snapshot: Collection, question: Question, *, of_stored: bool) -> Question:
    """The question in the order that suits it; says so where too many words would be read first."""
    suited = snapshot.suited(question, of_stored=of_stored)
    is_plain = question.asks_no_order and snapshot.keeps_texts
    if suited is question and is_plain and snapshot.snapshot.model is not None:
        click.echo(
            f"by codes alone: the words of {snapshot.n_unread_bytes / 1e6:,.0f} MB of texts were "
            "not read yet; --hybrid reads them, once, in minutes",
            err=True,
        )
    return suited


def announce_reading(snapshot: Collection, question: Question, *, of_stored: bool) -> None:
    """Say that words are read first, where that takes more than a moment."""
    may_ask_words = question.is_open and not of_stored
    asks_words = may_ask_words or question.is_hybrid or question.rerank_by == "words"
    if asks_words and snapshot.keeps_texts:
        unread = snapshot.n_unread_bytes
        if unread > _MANY_UNREAD:
            click.echo(f"reading the words of {unread / 1e6:,.0f} MB of texts, once", err=True)


def _require_json(with_text: bool, as_json: bool) -> None:
    if with_text and not as_json:
        raise click.UsageError("--text goes with --json or --batch: a line has no room for a text")


@click.command()
@collection_argument
@click.argument("item_id", metavar="ID")
@click.option(
    "-k", "k", type=click.IntRange(min=1), metavar="N", help="Number of hits.  [default: 10]"
)
@rerank_option
@_rerank_by_option("features")
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
    """Show the items of COLLECTION that are most like its item ID.

    The fewer bits of their codes differ, the better; among at most 300 texts also by features.
    """
    _require_json(with_text, as_json)
    question = _question(True, k, rerank, rerank_by=rerank_by, where=where, group=group)
    with opened(collection, commit) as snapshot:
        _say_if_alone(snapshot, group)
        question = _suited(snapshot, question, of_stored=True)
        ask = partial(snapshot.ask_similar, ids=item_id)
        _show(snapshot, question, ask, None, as_json, explain, with_text)


def _say_if_alone(snapshot: Collection, group: str | None) -> None:
    """Say so where no item has the field, so that each is a group by itself."""
    if group is not None and snapshot.groups(group).has_none:
        named = shown(repr(group))
        click.echo(f"--group: no item has a field {named}, so each is one by itself", err=True)


def _show(
    snapshot: Collection,
    question: Question,
    ask: Callable[[Question], Hits],
    payload: Any,
    as_json: bool,
    explain: bool,
    with_text: bool,
) -> None:
    """Ask the question and show the hits, or why there are none."""
    hits = ask(question)
    show_hits(
        snapshot,
        hits,
        payload,
        as_json=as_json,
        with_text=with_text,
        by_score=question.by_score,
    )
    if not len(hits):
        click.echo(shown(why_none(snapshot, question, hits.note, ask)), err=True)
    is_words = isinstance(payload, str) and kind_of(snapshot.kind).stores_texts
    if is_words and len(payload) <= _LONGEST_QUESTION:
        _say_unknown_words(snapshot, payload, has_hits=len(hits) > 0)
    if explain and hits.plan is not None:
        click.echo(str(hits.plan), err=True)


def _say_unknown_words(snapshot: Collection, question: str, *, has_hits: bool) -> None:
    """Say which words of a question no text has, and which known ones are spelt like them."""
    found = snapshot.spelling(question)
    if found.instead or (found.unknown and has_hits):
        meant = f"; did you mean '{found.instead}'?" if found.instead else ""
        click.echo(shown(f"unknown words: {', '.join(found.unknown)}{meant}"), err=True)
