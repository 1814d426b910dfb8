"""The reading verbs: query, similar, get, list, info.

Results go to standard output, everything else to standard error. Nothing heavy is imported
before it is needed: a query for text loads neither torch nor Faiss.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from hashret._version import __version__
from hashret.errors import HashretError, InputError

if TYPE_CHECKING:
    from hashret.collection import Collection, StoredItem
    from hashret.items import Hit, Hits


def _read_utf8(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


#: Reads a document file as text. `indexer.cli`, which knows every encoding that a corpus may have,
#: puts its own reader here, so that a file has the same text as a query and in the corpus.
read_document: Callable[[Path], str] = _read_utf8

_BATCH = 1024  # queries of a batch file encoded and searched at a time

collection_argument = click.argument("collection", type=click.Path(path_type=Path))
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


class _Group(click.Group):
    """Verbs in the order they were mounted, and every foreseeable error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (HashretError, OSError, MemoryError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            fail(
                f"{error}"
                if isinstance(error, HashretError)
                else f"{type(error).__name__}: {error}"
            )


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hashret")
def main() -> None:
    """Learn short binary codes on your own documents, images or vectors, and search by them."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # an id or a text may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")


def fail(message: str) -> NoReturn:
    """Say what is wrong on standard error and leave with 1."""
    click.echo(f"hashret: {message}", err=True)
    raise SystemExit(1)


@contextmanager
def opened(path: Path) -> Iterator[Collection]:
    """The collection at `path`, closed afterwards."""
    from hashret.collection import Collection

    with Collection.open(path) as collection:
        yield collection


@main.command()
@collection_argument
@click.argument("text", required=False)
@click.option("--file", "file", type=click.Path(path_type=Path), help="Query with this file.")
@click.option("--id", "item_id", metavar="ID", help="Query with the stored item of this id.")
@click.option(
    "--batch",
    type=click.Path(path_type=Path),
    help="A .jsonl file with a query a line: id, and text, path or vector.",
)
@click.option("-k", "k", type=click.IntRange(min=1), help="How many hits.  [default: 10]")
@click.option("--radius", type=click.IntRange(min=0), help="All hits within so many bits.")
@click.option("--bucket", is_flag=True, help="All hits with exactly the query's code.")
@json_option
def query(
    collection: Path,
    text: str | None,
    file: Path | None,
    item_id: str | None,
    batch: Path | None,
    k: int | None,
    radius: int | None,
    bucket: bool,
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
    within = 0 if bucket else radius
    with opened(collection) as snapshot:
        if batch is not None:
            _answer_batch(snapshot, batch, k, within)
            return
        if item_id is not None:
            hits = _about_stored(snapshot, item_id, k, within)
        else:
            hits = _ask(snapshot, [_payload(snapshot.kind, text, file)], k, within)[0]
        show_hits(hits, as_json)


def _ask(
    snapshot: Collection, payloads: list[Any], k: int | None, within: int | None
) -> list[Hits]:
    if within is None:
        return snapshot.query(payloads, k=k or 10)
    return [_cut(hits, k) for hits in snapshot.within(payloads, radius=within)]


def _about_stored(snapshot: Collection, item_id: str, k: int | None, within: int | None) -> Hits:
    if within is None:
        return snapshot.similar(item_id, k=k or 10, include_self=True)
    return _cut(snapshot.similar_within(item_id, radius=within, include_self=True), k)


def _cut(hits: Hits, k: int | None) -> Hits:
    from hashret.items import Hits

    return Hits(hits[:k], hits.note, hits.complete_radius)


def _payload(kind: str, text: str | None, file: Path | None) -> Any:
    """What the command line gave as query, as the payload of a collection of `kind`."""
    if file is not None:
        return _payload_of_file(kind, file)
    if text == "-":
        text = sys.stdin.read()
    if kind == "text":
        return text
    if kind == "vector":
        return _vector_of(text or "", "TEXT")
    raise InputError("query: expected an image file, got a text; pass --file PATH")


def _payload_of_file(kind: str, file: Path) -> Any:
    if kind == "image":
        return file
    if kind == "text":
        return read_document(file)
    if file.suffix == ".npy":
        import numpy as np

        try:
            with file.open("rb") as stream:
                return np.load(stream, allow_pickle=False)
        except ValueError as error:
            raise InputError(f"{file}: expected a .npy array of numbers, got {error}") from error
    return _vector_of(file.read_text(encoding="utf-8"), str(file))


def _vector_of(text: str, where: str) -> Any:
    import numpy as np

    try:
        numbers = json.loads(text)
        return np.asarray(numbers, np.float32)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InputError(
            f"{where}: expected a JSON list of numbers, got {text[:40]!r}; "
            "write it as [0.1, 0.2, ...] or pass --file vector.npy"
        ) from None


def _answer_batch(snapshot: Collection, path: Path, k: int | None, within: int | None) -> None:
    """A line out for every line in, in order; a query that can't be used says so in its line."""
    failed = 0
    with path.open(encoding="utf-8-sig") as lines:
        for numbered in _chunks(enumerate(lines, start=1), _BATCH):
            asked: list[tuple[str, Any, str]] = []  # id, payload, error
            for number, line in numbered:
                if line.strip():
                    asked.append(_batch_query(snapshot, path, number, line))
            usable = [payload for _, payload, error in asked if not error]
            answers = iter(_ask(snapshot, usable, k, within))
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
                click.echo(json.dumps(answer))
    if failed:
        fail(f"{path}: {failed} queries could not be used; their lines say why")


def _chunks(stream: Iterable[Any], size: int) -> Iterator[list[Any]]:
    from itertools import islice

    iterator = iter(stream)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _batch_query(snapshot: Collection, path: Path, number: int, line: str) -> tuple[str, Any, str]:
    """One line of a batch file: its id, its payload (checked), and what is wrong with it or ""."""
    query_id = str(number)
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict):
            raise InputError(f"expected a JSON object, got {type(fields).__name__}")
        query_id = str(fields.get("id", number))
        payload: Any
        if "text" in fields and snapshot.kind == "text":
            payload = fields["text"]
        elif "vector" in fields and snapshot.kind == "vector":
            payload = _vector_of(json.dumps(fields["vector"]), "vector")
        elif isinstance(fields.get("path"), str):
            payload = _payload_of_file(snapshot.kind, path.parent / fields["path"])
        else:
            wanted = {"text": "text or path", "image": "path", "vector": "vector or path"}
            raise InputError(f"expected the key {wanted[snapshot.kind]}, got {', '.join(fields)}")
        snapshot.coder.prepare(payload)
    except (ValueError, RecursionError, HashretError, OSError) as error:
        return query_id, None, f"line {number}: {error}"
    return query_id, payload, ""


@main.command()
@collection_argument
@click.argument("item_id", metavar="ID")
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True)
@json_option
def similar(collection: Path, item_id: str, k: int, as_json: bool) -> None:
    """The items of COLLECTION nearest to its item ID, without the item itself."""
    with opened(collection) as snapshot:
        show_hits(snapshot.similar(item_id, k=k), as_json)


@main.command()
@collection_argument
@click.argument("item_id", metavar="ID")
@json_option
def get(collection: Path, item_id: str, as_json: bool) -> None:
    """The stored item ID of COLLECTION: its code, metadata and the beginning of its text."""
    with opened(collection) as snapshot:
        item = snapshot.get(item_id)
    if as_json:
        click.echo(json.dumps(stored_json(item)))
        return
    click.echo(f"id        {item.id}\ncode      {item.code}")
    if item.metadata:
        click.echo(f"metadata  {json.dumps(item.metadata, ensure_ascii=False)}")
    if item.preview:
        click.echo(f"text      {item.preview}")


@main.command("list")
@collection_argument
@json_option
def list_items(collection: Path, as_json: bool) -> None:
    """The ids of all items of COLLECTION, in order."""
    with opened(collection) as snapshot:
        for item in snapshot.items():
            click.echo(json.dumps(stored_json(item)) if as_json else item.id)


@main.command()
@collection_argument
@json_option
def info(collection: Path, as_json: bool) -> None:
    """What COLLECTION holds: items, bits, commit, model, index, and its size on disk."""
    with opened(collection) as snapshot:
        facts = snapshot.info()
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {part}" for key, part in value.items())
        click.echo(f"{name.replace('_', ' '):10} {value}")


def stored_json(item: StoredItem) -> dict[str, Any]:
    """A stored item under its stable keys."""
    return {
        "id": item.id,
        "code": item.code,
        "metadata": dict(item.metadata),
        "preview": item.preview,
    }


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit under its stable keys: id, distance (bits), score, code (hex), metadata."""
    return {
        "id": hit.id,
        "distance": hit.distance,
        "score": round(hit.score, 6),
        "code": hit.code,
        "metadata": dict(hit.metadata),
    }


def show_hits(hits: Hits | Sequence[Hit], as_json: bool) -> None:
    """The hits on standard output, a line each; why there are none on standard error."""
    note = getattr(hits, "note", "")
    if as_json:
        for hit in hits:
            click.echo(json.dumps(hit_json(hit)))
    elif len(hits):
        width = shutil.get_terminal_size((100, 24)).columns
        widest = min(40, max(len(hit.id) for hit in hits))
        click.echo(f"{'bits':>4}  {'score':>5}  {'id':{widest}}")
        for hit in hits:
            line = f"{hit.distance:4}  {hit.score:5.3f}  {hit.id:{widest}}  {hit.preview}"
            click.echo(line.rstrip() if len(line) <= width else line[: width - 1] + "…")
    if not len(hits):
        click.echo(f"no hits: {note or 'no item is that near'}", err=True)
