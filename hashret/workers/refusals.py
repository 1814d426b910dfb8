"""Items that could not be used, each with its reason and class: `Skipped`, `Refused`."""

from __future__ import annotations

from dataclasses import dataclass

#: Every class of refusal, by the name that reports use. Names are stable; reasons are prose.
ERROR_CLASSES: dict[str, str] = {
    "bad-csv": "a row with unsound quoting or another number of fields than the header",
    "bad-id": "an id that is no string, integer or UUID, is empty or is too long",
    "bad-image": "a file that its name says is an image and no decoder in the list can read",
    "bad-item": "what a program gave in place of an item",
    "bad-json": "a line that is no JSON object, or holds what JSON cannot carry on",
    "bad-metadata": "metadata with a value that JSON cannot hold, such as NaN or bytes",
    "bad-path": "a `path` entry that is not the name of a file",
    "bad-payload": "a payload of another type or shape than the kind's",
    "bad-step": "a row of a series without its value, or with one that is no number or token",
    "bad-text": "a `text` entry that is not a string",
    "bomb": "an archive or document that unpacks to far more than its size or has too many members",
    "collection": "a folder that is a collection of hashret, such as the one being written",
    "damaged-archive": "an archive whose bytes end early or are unsound, or one member of it",
    "damaged-array": "an array whose bytes end early or fail their checksum",
    "damaged-document": "a document whose bytes are cut off, or are not as its format demands",
    "damaged-gzip": "a gzip stream that ends early or fails its checksum",
    "damaged-stream": "a bzip2, xz or Zstandard stream that ends early or fails its checksum",
    "damaged-table": "a Parquet, Arrow or SQLite file that ends early or can't be decoded",
    "decoder-died": "a file whose decoder crashed; it was tried twice",
    "decoder-failed": "a file whose decoder raised an error that nobody foresaw",
    "duplicate": "an item with the same content as one before it, left out by --dedup",
    "duplicate-id": "an id that an item before it in the same run has",
    "empty-file": "a file of zero bytes where an image is expected",
    "empty-sequence": "a sequence without a step",
    "empty-text": "a text of nothing but white space",
    "encrypted": "a document or member of an archive that needs a password",
    "excluded": "a file or folder that --exclude or --include leaves out",
    "hidden": "a file or folder whose name begins with a dot",
    "ignored": "a file or folder that a .gitignore or .hashretignore leaves out",
    "missing-file": "a `path` entry that names no file",
    "missing-payload": "a row with neither `text` or `sequence` nor `path`",
    "mixed-steps": "a sequence whose steps are not all tokens or numbers, or not of one width",
    "near-empty": "a text of fewer words than --min-words",
    "needs-extra": "a document whose format needs `hashret[documents]`",
    "nested-too-deep": "an archive in an archive in an archive in an archive",
    "no-known-feature": "a query of an evaluation without a single word of the model's vocabulary",
    "no-text": "pages that are pictures without text; an OCR program can add it",
    "not-a-regular-file": "a FIFO, socket, device or folder where a file is expected",
    "not-finite": "a vector or series with a NaN or infinite number (in float32)",
    "not-text": "bytes that are no text in any encoding that is looked for",
    "not-utf8": "a line of a table that is not in the encoding of its table",
    "other-type": "a file of another type than those that the kind reads, or than its name says",
    "outside-source": "a `path` entry that leads out of the folder of its table",
    "over-memory": "a file whose decoding needs more memory than a worker has",
    "over-time": "a file whose decoding takes longer than it may",
    "overflow": "a vector whose length, or whose features, are not finite in float32",
    "symlink": "a symbolic link; links inside a source are not followed",
    "too-large": "a text, sequence, document, image file, line or row over its size limit",
    "too-many-pixels": "an image of more pixels than are decoded",
    "unreadable": "a file or folder that the operating system would not let be read",
    "unsafe-name": "a member of an archive whose name leads out of it",
    "wrong-width": "a vector, or a step of a series, of another width than the model's",
    "zero-norm": "a vector of length zero in float32, which points nowhere",
}

#: The classes of what somebody wants to be left out: pruning removes former versions of it.
LEFT_OUT = frozenset({"duplicate", "excluded", "hidden", "ignored", "near-empty"})


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in a source that did not become an item.

    `id` is the id the item would have had: for a row that gave none, the table's name and the
    line, ``posts.jsonl:17``. `reason` is for people; `error_class` is one of `ERROR_CLASSES`.
    """

    id: str
    reason: str
    error_class: str


class Refused(Exception):  # noqa: N818 - a verdict on one input, which never leaves the corpus
    """One input cannot be used; the loop that reads its source turns this into a `Skipped`."""

    def __init__(self, error_class: str, reason: str) -> None:
        super().__init__(reason)
        self.error_class = error_class
        self.reason = reason

    def skipped(self, item_id: str) -> Skipped:
        """The report of this refusal for the item `item_id`."""
        return Skipped(item_id, self.reason, self.error_class)
