"""Read a folder of sequences: array files, tables of steps, and texts with one a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import documents, files, images
from indexer.corpus.arrays.stored import SUFFIXES
from indexer.corpus.folders import archives
from indexer.corpus.reading import Reading
from indexer.corpus.sequences.by_series import read_one
from indexer.corpus.sequences.in_arrays import is_array_file, series_of
from indexer.corpus.sequences.in_lines import read_lines
from indexer.corpus.tables.readers import CSV_SUFFIXES

#: The largest file of arrays in an archive, in bytes: it is held in memory.
MAX_ARCHIVED = 64 << 20


def read_folder(source: Path, how: Reading) -> Iterator[Item | Skipped]:
    """The sequences of every file in a folder or an archive; everything else as `Skipped`.

    An .npy is one, and so is a CSV or TSV, whose rows are the steps; an .npz holds one for each
    array, and a text one for each line. An id is the path of the file, in an .npz with a slash and
    the array's name behind it, in a text with a colon and the line. Of archives only arrays are
    read.
    """
    for entry in archives.entries(source, how, lambda path: MAX_ARCHIVED * is_array_file(path)):
        if isinstance(entry, Skipped):
            yield entry
            continue
        try:
            if is_array_file(entry.path):
                yield from series_of(entry, follow=how.follow_links)
            elif entry.data is not None:
                reason = f"expected arrays ({', '.join(SUFFIXES)}) in an archive; unpack it"
                raise Refused("other-type", reason)
            else:
                yield from _of_file(entry, how)
        except Refused as refused:
            yield refused.skipped(entry.id)


def _of_file(entry: files.Entry, how: Reading) -> Iterator[Item | Skipped]:
    if entry.path.suffix.lower() in CSV_SUFFIXES:
        if how.series_id is not None:
            reason = "expected one series in a table of a folder, got --series-id; name it itself"
            raise Refused("other-type", reason)
        steps = read_one(entry.path, how)
        yield Item(entry.id, steps, entry.metadata | {"steps": len(steps)})
    elif images.is_image(entry.path) or not documents.is_text(entry.path):
        raise Refused("other-type", "expected arrays, CSV files or texts of tokens")
    else:
        yield from read_lines(entry.path, how, entry.id)
