"""A task for workers: read whole binary tables, one for each item."""

from pathlib import Path

from hashret.workers.pool import each
from indexer.corpus.tables.binary import reading


def whole_tables():
    """The work whose results are the answers for the paths of tables, in lists of rows."""

    def rows_of(path: Path):
        answer = reading(path, None, ["text", "id"])
        found, is_end = [], False
        while not is_end:
            (one,) = answer([len(found)], lambda at: None)
            if not isinstance(one, dict):  # refused
                return [found, one.error_class, one.reason]
            if "unclear" in one:
                return [found, "unclear", one["unclear"]]
            found += one["rows"]
            is_end = one["is_end"]
        return [found, "", ""]

    return each(rows_of)
