"""Options of how sources are read, and counts of the encodings that had to be guessed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from indexer.corpus.files import id_of


@dataclass(frozen=True, slots=True)
class Reading:
    """What a user says of the sources; `guesses` counts what had to be guessed all the same.

    `ids` are files with the ids of arrays' rows: one for all rows of all arrays, or one for each
    array. `encoding` is that of texts and tables which are not UTF-8 and have no byte order mark.
    `text_field` is the column or key of a table that holds the text. `id_prefix` is put before
    every id; in it ``{name}`` stands for the source's name and ``{path}`` for its path as given.
    """

    ids: tuple[Path, ...] = ()
    encoding: str | None = None
    text_field: str | None = None
    id_prefix: str = ""
    follow_links: bool = False
    guesses: Counter[str] = field(default_factory=Counter)
    """How many files were read in which encoding because it is the most likely one."""

    def prefix_of(self, path: Path) -> str:
        """What stands before the ids of the source at `path`."""
        name, whole = id_of(path.name), id_of(path.as_posix())
        return self.id_prefix.replace("{name}", name).replace("{path}", whole)
