"""Here are files: give me Items.

::

    sources     what the user named; its kind; `read`
    forms       folders, tables, arrays, ...: a row for each form of a source
    documents   a folder of texts         decoding (bytes to text), extract/ (formats to text)
    images      a tree of image files
    tables      JSONL and CSV             lines (bounded text lines), rows (parsed and checked)
    vectors     .npy and .npz             arrays (blocks of rows), ids
    files       the only way to a file    walks folders, opens nothing but regular files

Everything that stands in a source comes out once, as an `Item` or as a `Skipped`, so that the
counts of a run add up. Nothing here decodes images or learns anything.
"""

from indexer.corpus.sources import KINDS, Source, infer_kind, read
from indexer.refusals import ERROR_CLASSES, Skipped

__all__ = ["ERROR_CLASSES", "KINDS", "Skipped", "Source", "infer_kind", "read"]
