"""Options of how sources are read, and counts of the encodings that had to be guessed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from indexer.corpus.files import id_of


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read sources, and counts of the encodings that were guessed in doing so."""

    ids: tuple[Path, ...] = ()
    """Files with the ids of arrays' rows: one for all rows of all arrays, or one for each array."""
    encoding: str | None = None
    """The encoding of texts and tables that are not UTF-8 and have no byte order mark."""
    text_field: str | None = None
    """The field of a table that holds the text; None: `text`."""
    id_prefix: str = ""
    """The prefix of every id. In it ``{name}`` stands for the source's name, and ``{path}`` for its
    path as given."""
    follow_links: bool = False
    """Whether symbolic links in folders are followed, wherever they lead."""
    exclude: tuple[str, ...] = ()
    """Patterns as in `.gitignore` of what is left out of folders and archives."""
    include: tuple[str, ...] = ()
    """Patterns of the files that are read in folders and archives; none: all."""
    hidden: bool = False
    """Whether files and folders are read whose names begin with a dot."""
    ignore_files: bool = True
    """Whether `.gitignore` and `.hashretignore` are obeyed."""
    min_words: int = 0
    """Texts of fewer words are left out."""
    dedup: bool = False
    """Whether an item with the same content as one before it is left out."""
    guesses: Counter[str] = field(default_factory=Counter)
    """Encoding -> the number of files for which it was guessed."""

    def prefix_of(self, path: Path) -> str:
        """The prefix of the ids of the source at `path`."""
        name, whole = id_of(path.name), id_of(path.as_posix())
        return self.id_prefix.replace("{name}", name).replace("{path}", whole)
