"""Here are files and folders: which items are in them?

::

    sources     the paths that the user names; the kind of their items; `read`
    forms       folders, tables, arrays, ...: one row for each form of a source
    reading     options of reading, and counts of guessed encodings
    given       items that a program passes in
    files       the only way to a file    walks folders, opens nothing but regular files
    folders/    archives, ignore files    which files are in them, and which are not wanted
    leaving_out what nobody wants         by name, by size, by content
    endings     what a name's end says    counted in bounded memory
    documents   texts                     decoding and guessing (bytes), extract/ (formats to text)
    mailboxes   a mail an item            split here, read as documents
    passages    parts of long texts       at headings, paragraphs, sentences
    images      image files
    tables/     JSON, CSV, Parquet, ...   readers (rows by form), table (items); lines (bounded)
    arrays/     .npy and .npz             stored (blocks of rows), vectors (items); ids
    sequences/  series of steps           in arrays, in tables, in lines of texts, in folders
    standard_input                        copied to a file

Everything in a source is returned exactly once, as an `Item` or as a `Skipped`, so that the counts
of a run add up. Images are not decoded here, and nothing is learned.
"""

from hashret.workers.refusals import ERROR_CLASSES, Skipped
from indexer.corpus.reading import Reading
from indexer.corpus.sources import KINDS, Source, clear_kind, count_kinds, infer_kind, read

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
