"""What does a person type? The command `hashret`: its verbs, which read or write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hashret._version import __version__
from hashret.cli import payloads
from hashret.cli.group import Verbs, unbreakable_output
from hashret.errors import InputError

#: Each verb's place ("module:function") and what it does, in the order in which users need them.
VERBS = {
    "index": (
        "indexer.cli.index:index",
        "Learn codes for files and write them into a collection.",
    ),
    "query": (
        "hashret.cli.query:query",
        "Show the items nearest to a text, image, vector or sequence.",
    ),
    "similar": (
        "hashret.cli.query:similar",
        "Show the items nearest to a stored item.",
    ),
    "explain": (
        "hashret.cli.explain:explain",
        "Say why an item is near to a query, part by part.",
    ),
    "bits": (
        "hashret.cli.bits:bits",
        "Say what each bit of the codes means.",
    ),
    "decode": (
        "hashret.cli.decoding.decode:decode",
        "Say what a code stands for: words, an image, a vector.",
    ),
    "compress": (
        "indexer.cli.compress:compress",
        "Turn files into codes of a few bytes, which `decode` turns back.",
    ),
    "generate": (
        "hashret.cli.decoding.generate:generate",
        "Make up items like the stored ones, and what lies between two.",
    ),
    "list": (
        "hashret.cli.stored:list_items",
        "List the ids of all items, or of those that match a condition.",
    ),
    "get": (
        "hashret.cli.stored:get",
        "Show a stored item: its code, metadata, beginning of its text.",
    ),
    "info": (
        "hashret.cli.stored:info",
        "Show what a collection holds, and its size on disk.",
    ),
    "duplicates": (
        "hashret.cli.duplicates:duplicates",
        "Show which items are copies of one another, and which to keep.",
    ),
    "denoise": (
        "hashret.cli.decoding.denoise:denoise",
        "Take the noise out of an image or of vectors.",
    ),
    "outliers": (
        "indexer.cli.outliers.verb:outliers",
        "Show which items are unlike the others, and what in them is odd.",
    ),
    "serve": (
        "hashret.cli.serve:serve",
        "Answer over HTTP, and show a page to ask on.",
    ),
    "retrain": (
        "indexer.cli.retrain:retrain",
        "Learn a new model from what a collection stores.",
    ),
    "export": (
        "hashret.cli.export:export",
        "Write items, codes and texts into one file for other programs.",
    ),
    "map": (
        "hashret.cli.map:map_collection",
        "Draw a picture in which items of near codes lie together.",
    ),
    "report": (
        "hashret.cli.report:report",
        "Write a page on a collection: map, bits, distances, training.",
    ),
    "evaluate": (
        "indexer.cli.choosing.evaluate:evaluate",
        "Measure how well codes find what is relevant.",
    ),
    "presets": (
        "indexer.cli.choosing.presets:presets",
        "List the ways in which codes can be learned, with their figures.",
    ),
    "tune": (
        "indexer.cli.choosing.tune:tune",
        "Choose settings of training for some files, without labels.",
    ),
    "remove": (
        "indexer.cli.maintain:remove",
        "Remove items by their ids.",
    ),
    "compact": (
        "indexer.cli.maintain:compact",
        "Merge segments and drop items that were removed or replaced.",
    ),
    "verify": (
        "hashret.cli.stored:verify",
        "Compare every byte of a collection with its checksums.",
    ),
    "repair": (
        "indexer.cli.maintain:repair",
        "Show how to repair a damaged collection, or repair it.",
    ),
    "demo": (
        "indexer.cli.demo:demo",
        "Index the docstrings of Python's library and query them.",
    ),
    "completion": (
        "indexer.cli.completion:completion",
        "Print a script with which a shell completes verbs and options.",
    ),
}


main = Verbs(
    verbs=VERBS,
    name="hashret",
    callback=unbreakable_output,
    help="Learn short binary codes on your own documents, images, vectors or sequences, and "
    "search by them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, prog_name="hashret")(main)


def _read_document(path: Path) -> str:
    from hashret.workers.refusals import Refused
    from indexer.corpus.documents import read_document

    try:
        return read_document(path, follow=True).text
    except Refused as refused:
        raise InputError(f"{path}: {refused}") from refused


def _read_vector(path: Path) -> Any:
    from indexer.corpus.arrays.stored import read_vector

    return read_vector(path)


def _read_sequence(path: Path) -> Any:
    from hashret.workers.refusals import Refused
    from indexer.corpus.reading import Reading
    from indexer.corpus.sequences.by_series import read_one
    from indexer.corpus.sequences.in_arrays import is_array_file, read_sequence

    try:
        return read_sequence(path) if is_array_file(path) else read_one(path, Reading())
    except Refused as refused:
        raise InputError(f"{path}: {refused.reason}; save one sequence") from refused


payloads.READERS.update(text=_read_document, vector=_read_vector, sequence=_read_sequence)
