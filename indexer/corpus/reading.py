"""Options of how sources are read, and counts of what had to be guessed or left out in doing so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from indexer.corpus.files import id_of


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read sources, and counts of what was guessed and left out in doing so."""

    ids: tuple[Path, ...] = ()
    """Files with the ids of arrays' rows: one for all rows of all arrays, or one for each array."""
    encoding: str | None = None
    """The encoding of texts and tables that are not UTF-8 and have no byte order mark."""
    text_fields: tuple[str, ...] = ()
    """The fields of a table that make up the text, joined by blank lines; none: `text`."""
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
    id_field: str | None = None
    """The field of a table that holds the id, which every row must have; None: `id`, or none."""
    series_id: str | None = None
    """The field of a table that says which sequence a row is a step of; None: each row is one."""
    values: tuple[str, ...] = ()
    """The fields of a table that are the values of a step; none: the only one beside the id."""
    as_tokens: bool = False
    """Whether the values of steps are tokens even if they look like numbers."""
    table: str | None = None
    """The table of an SQLite database; None: its only one."""
    infer_types: bool = False
    """Whether columns of a CSV get types by their cells (`indexer.corpus.tables.typed`)."""
    stdin: Path | None = None
    """The file to which standard input was copied, if it is one of the sources."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Column of a table -> the number of its values that are no metadata, and were left out."""
    fields_seen: set[str] = field(default_factory=set)
    """Those of `text_fields` that some row has had."""

    def name_of(self, path: Path) -> str:
        """The name of the source at `path`, as it stands in ids."""
        return "stdin" if path == self.stdin else id_of(path.name)

    def shown(self, path: Path) -> str:
        """The source at `path` as messages show it."""
        return "standard input" if path == self.stdin else str(path)

    def folder_of(self, path: Path) -> Path:
        """The folder from which paths in a table lead: its own, or this one for standard input."""
        return Path() if path == self.stdin else path.parent

    def prefix_of(self, path: Path) -> str:
        """The prefix of the ids of the source at `path`."""
        name = self.name_of(path)
        whole = name if path == self.stdin else id_of(path.as_posix())
        return self.id_prefix.replace("{name}", name).replace("{path}", whole)
