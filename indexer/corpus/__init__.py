"""Here are files: give me Items.

::

    sources     what the user named; its kind; `read`
    forms       folders, tables, arrays, ...: a row for each form of a source
    reading     what the user says of them, and what had to be guessed
    given       items as a program gave them
    documents   a folder of texts         decoding and guessing (bytes), extract/ (formats to text)
    images      a tree of image files
    tables      JSONL and CSV             lines (bounded), rows and csv_rows (parsed and checked)
    vectors     .npy and .npz             arrays (blocks of rows), ids
    files       the only way to a file    walks folders, opens nothing but regular files

Everything that stands in a source comes out once, as an `Item` or as a `Skipped`, so that the
counts of a run add up. Nothing here decodes images or learns anything.
"""

from indexer.corpus.reading import Reading
from indexer.corpus.sources import KINDS, Source, infer_kind, read
from indexer.refusals import ERROR_CLASSES, Skipped

__all__ = ["ERROR_CLASSES", "KINDS", "Reading", "Skipped", "Source", "infer_kind", "read"]
