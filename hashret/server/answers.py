"""Here are questions of one form: what are their answers, as JSON? All work that a thread does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hashret.as_json import approximation_json, hit_json, stored_json
from hashret.codes import Codes
from hashret.collection import Collection
from hashret.errors import HashretError, InputError
from hashret.items import Hits, Item
from hashret.kinds import kind_of
from hashret.search.question import Question
from hashret.server.requests import MOST_HITS, Options

#: The most characters of texts, and numbers or steps, that are answered together with others, so
#: that nobody waits for a stranger's book.
_SHORT = 4_096


@dataclass(frozen=True, slots=True)
class Form:
    """What questions must have in common to be answered by one call."""

    collection: str
    subject: str
    """What they are about: "text", "vector", "sequence", "id", "code", "picture" (decoded), or
    "other than": an id, left out."""
    question: Question
    codes_only: bool = False
    """Whether words are not asked for, where a text would be answered by words and codes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a form: what it is about, and what else its answer should tell."""

    value: Any
    include: frozenset[str] = frozenset()

    @property
    def is_short(self) -> bool:
        """Whether it may be answered together with others."""
        return len(self.value) <= _SHORT


def question_of(options: Options) -> Question:
    """The question that the options describe.

    One more hit is asked for than may be given within a radius, so that the answer can say that
    there are more. Raises `QuestionError` if the options do not go together.
    """
    k = options.k
    if k is None and options.radius is None:
        k = min(10, options.rerank or 10)
    question = Question(
        k, options.radius, rerank=options.rerank, where=options.where, group=options.group
    )
    if options.radius is None:
        return question
    return replace(question, k=(k or MOST_HITS) + 1)


def answers(collection: Collection, form: Form, asked: Sequence[Asked]) -> list[bytes | Exception]:
    """The answer to each question as JSON, or its error. All are of one commit.

    Where one is wrong, the others are answered without it.
    """
    standing = collection.standing()
    try:
        found = _found(standing, form, [one.value for one in asked])
    except HashretError as error:
        if len(asked) == 1:
            return [error]
        return [one for each in asked for one in answers(standing, form, [each])]
    return [_told(standing, form, one, hits) for one, hits in zip(asked, found, strict=True)]


def _found(collection: Collection, form: Form, values: list[Any]) -> list[Hits]:
    """The hits of each value. Raises what `Collection.ask` does, and `InputError`."""
    question = form.question
    if form.subject in ("id", "other than"):
        include_self = form.subject == "id"
        if not form.codes_only:
            question = collection.suited(question, of_stored=True)
        return list(collection.ask_similar(question, values, include_self=include_self))
    if form.subject == "code":
        return list(collection.ask(question, codes_of(collection, values)))
    if form.subject == "picture":
        return list(collection.ask(question, values))
    payloads = payloads_of(collection, form.subject, values)
    if not form.codes_only:
        question = collection.suited(question)
    # as items, since a payload can be a list
    return list(collection.ask(question, [Item("", one) for one in payloads]))


def payloads_of(collection: Collection, subject: str, values: list[Any]) -> list[Any]:
    """The texts, vectors or sequences as payloads. Raises `InputError` where items are others."""
    about = kind_of(collection.kind)
    if about.key != subject:  # a text is not a file's name, to a collection of images
        expected = " or ".join(name for name in (about.key, "id", "code") if name)
        raise InputError(
            f"{subject}: expected {expected}, since the collection holds {about.name} items, "
            f"got a {subject}; ask with one of these"
        )
    return [np.array(one) for one in values] if about.of_numbers else values


def codes_of(collection: Collection, given: list[str]) -> Codes:
    """The codes in hexadecimal. Raises `InputError` for those of another length."""
    n_bits = collection.n_bits
    for one in given:
        if 4 * len(one) != n_bits:
            raise InputError(
                f"code: expected {n_bits} bits in hexadecimal, got {4 * len(one)}; it is as "
                "long as the codes of the collection's hits"
            )
    return Codes.concatenate([Codes.from_hex(one) for one in given])


def _told(collection: Collection, form: Form, asked: Asked, hits: Hits) -> bytes | Exception:
    """The answer as JSON, in ASCII: ids and names may hold what is not UTF-8."""
    include = asked.include
    limit = form.question.k if form.question.radius is not None else None
    shown = hits.hits if limit is None else hits.hits[: limit - 1]
    told: dict[str, Any] = {"collection": form.collection, "commit": collection.commit}
    try:
        told["hits"] = [
            hit_json(hit, with_text="text" in include)
            | ({"preview": hit.preview} if "preview" in include else {})
            for hit in shown
        ]
        if "snippet" in include:
            asked_text = asked.value if form.subject == kind_of(collection.kind).key else None
            parts = collection.snippets(shown, asked_text)
            for hit, part in zip(told["hits"], parts, strict=True):
                hit["snippet"] = part.to_json()
        if len(shown) < len(hits):
            told["more"] = True
        if hits.by != "codes":
            told["by"] = hits.by
        if hits.note:
            told["note"] = hits.note
        elif not shown and not len(collection.codes):
            told["note"] = "the collection has no item with a code"
        if hits.approximation:
            told["approximate"] = approximation_json(hits.approximation)
        if "plan" in include and hits.plan is not None:
            told["plan"] = hits.plan.to_json()
        if "code" in include:
            told["code"] = _code_of(collection, form, asked.value)
    except HashretError as error:  # a damaged text
        return error
    return json.dumps(told).encode()


def _code_of(collection: Collection, form: Form, value: Any) -> str:
    """The code of what was asked about, in hexadecimal; "" where it has none."""
    if form.subject == "code":
        return str(value).lower()
    if form.subject in ("id", "other than"):
        return collection.get(value).code
    is_row = kind_of(collection.kind).of_numbers and isinstance(value, list)
    payload = np.array(value) if is_row else value
    encoding = collection.coder.encode([payload])
    return encoding.codes.hex(0) if encoding.known[0] else ""


def item(collection: Collection, name: str, item_id: str) -> bytes:
    """The stored item of an id as JSON, with its text. Raises `UnknownItemError`."""
    standing = collection.standing()
    stored = standing.get(item_id)
    told = {"collection": name, "commit": standing.commit, **stored_json(stored)}
    return json.dumps(dict(told, text=stored.text)).encode()


def statistics(collections: dict[str, Collection], shows_originals: bool) -> bytes:
    """What each collection is, as JSON; where its catalog is stays untold, as all paths do."""
    told = {}
    for name, collection in collections.items():
        facts = collection.info()
        del facts["catalog"]
        has_folders = bool(facts.pop("folders")) and kind_of(collection.kind).decodes_files
        facts["has_thumbnails"] = collection.keeps_thumbnails
        facts["has_originals"] = shows_originals and has_folders
        told[name] = facts
    return json.dumps({"collections": told}).encode()
