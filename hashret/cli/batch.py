"""Answer the queries of a file, a line of JSON each: `hashret query --batch`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret._backports import chunks
from hashret.as_json import hit_json
from hashret.cli.files import lines_of
from hashret.cli.group import fail
from hashret.cli.output import label_json
from hashret.cli.payloads import of_line

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.search.question import Question

_BATCH = 1024  # queries that are encoded and searched at a time


def answer_batch(
    snapshot: Collection, path: Path, question: Question, *, explain: bool, with_text: bool
) -> None:
    """Write one line for every query of the file, in its order: the hits, or what is wrong.

    Leaves with status 1 if a query could not be used.
    """
    from hashret.items import Item  # when it is needed: NumPy takes a moment

    failed = 0
    lines = lines_of(path, "JSON lines")
    for numbered in chunks(enumerate(lines, start=1), _BATCH):
        queries: list[tuple[str, Any, str]] = []  # id, payload, error
        for number, line in numbered:
            if line.strip():
                queries.append(of_line(snapshot, path, number, line))
        # as items, since a payload can be a list
        usable = [Item(query_id, payload) for query_id, payload, error in queries if not error]
        answers = iter(snapshot.ask(question, usable))
        for query_id, _, error in queries:
            answer: dict[str, Any] = {"query": query_id}
            if error:
                failed += 1
                answer |= {"hits": [], "error": error}
            else:
                hits = next(answers)
                answer["hits"] = [
                    hit_json(hit, with_text=with_text) | {"preview": hit.preview} for hit in hits
                ]
                if hits.note:
                    answer["note"] = hits.note
                answer |= label_json(hits)
                if explain and hits.plan is not None:
                    answer["plan"] = hits.plan.to_json()
            click.echo(json.dumps(answer))
    if failed:
        fail(f"{path}: {failed} queries could not be used; see the key error in their lines")
