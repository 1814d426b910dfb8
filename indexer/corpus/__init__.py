"""Here are files and folders: which items are in them?

::

    sources     the paths that the user names; the kind of their items; `read`
    forms       folders, tables, arrays, ...: one row for each form of a source
    reading     options of reading, and counts of guessed encodings
    given       items that a program passes in
    archives    zip and tar as folders    archive_members (one after the other, within a budget)
    leaving_out what nobody wants         gitignore (patterns); near-empty texts, copies
    endings     what a name's end says    counted in bounded memory
    documents   a folder of texts         decoding and guessing (bytes), extract/ (formats to text)
    images      a folder of image files
    tables/     JSONL and CSV             lines (bounded), rows and csv_rows (parsed and checked)
    arrays/     .npy and .npz             stored (blocks of rows), vectors (items); ids
    files       the only way to a file    walks folders, opens nothing but regular files

Everything in a source is returned exactly once, as an `Item` or as a `Skipped`, so that the counts
of a run add up. Images are not decoded here, and nothing is learned.
"""

from indexer.corpus.reading import Reading
from indexer.corpus.sources import KINDS, Source, clear_kind, count_kinds, infer_kind, read
from indexer.refusals import ERROR_CLASSES, Skipped

__all__ = [
    "ERROR_CLASSES",
    "KINDS",
    "Reading",
    "Skipped",
    "Source",
    "clear_kind",
    "count_kinds",
    "infer_kind",
    "read",
]
