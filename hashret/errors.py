"""The error tree: everything a user can meet is a `HashretError`.

::

    HashretError
    ├── InputError              an item, file or query that cannot be read as what it should be
    │   ├── PayloadError        one payload: wrong type, wrong width, NaN, undecodable
    │   ├── EmptyCorpusError    nothing (or nothing usable) to learn from
    │   └── WhereError          a condition on the metadata that cannot be read
    ├── CollectionError         a folder that is not, or no longer, a sound collection
    │   ├── NotACollectionError the folder is missing or holds something else
    │   ├── FormatVersionError  written by another, newer format
    │   ├── DamagedError        a checksum or a size does not agree with the catalog
    │   ├── LockedError         another writer holds the collection
    │   ├── StorageError        the system refuses: a full disk, no permission; also an OSError
    │   └── CatalogServerError  the server of its catalog is away, was lost, or refuses
    ├── UnknownItemError        no item has this id in this snapshot
    ├── MissingExtraError       a library that only an extra brings is not installed
    ├── UnknownKindError        a kind's name (of an encoder, an index, ...) that no table lists
    └── TrainingError           training cannot go on (non-finite loss, too few items)

A wrong *call* (a negative radius, an argument of another type) is a plain `ValueError` or
`TypeError`. Messages read: *what: expected X, got Y; what to do*. A `DurabilityWarning` tells a
writer of a place that promises less than others, an `EmptyCommitWarning` that nothing was
committed.
"""

from __future__ import annotations


class HashretError(Exception):
    """Base of every error that a user of hashret can meet."""


class InputError(HashretError):
    """An item, a file or a query that cannot be read as what it should be."""


class PayloadError(InputError):
    """One payload is of the wrong type or width, not finite, or cannot be decoded.

    `error_class` is the slug of its kind, as reports of skipped items carry it.
    """

    def __init__(self, message: str, error_class: str = "bad-payload") -> None:
        super().__init__(message)
        self.error_class = error_class


class EmptyCorpusError(InputError):
    """There is nothing, or nothing usable, to learn from or to index."""


class WhereError(InputError):
    """A condition on the metadata (`hashret.where.grammar`) that cannot be read."""


class CollectionError(HashretError):
    """A folder that is not, or is no longer, a sound collection."""


class NotACollectionError(CollectionError):
    """The folder does not exist or holds something other than a collection."""


class FormatVersionError(CollectionError):
    """The collection was written in a format that this version does not read."""


class DamagedError(CollectionError):
    """A file of the collection does not agree with the size or checksum in its catalog."""


class LockedError(CollectionError):
    """Another process is writing to the collection."""


class StorageError(CollectionError, OSError):
    """The system would not read or write a file of the collection: a full disk, no permission.

    It is an OSError too, with its `errno`; None where the system gave no number.
    """

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, int | None]]:
        return type(self), (str(self), self.errno)


class CatalogServerError(CollectionError):
    """The database server that keeps the catalog cannot be reached, was lost, or refuses."""


class UnknownItemError(HashretError, KeyError):
    """No item of the snapshot has this id."""

    def __str__(self) -> str:  # KeyError would show the repr of the message
        return str(self.args[0]) if self.args else ""


class MissingExtraError(HashretError):
    """What was asked needs a library that an extra of hashret installs, and it is not there."""


class UnknownKindError(HashretError):
    """A kind's name that no table of kinds lists."""


class TrainingError(HashretError):
    """Training cannot start or cannot go on; the collection is as it was."""


class EmptyCommitWarning(UserWarning):
    """What was committed holds no item, though there was a `fit` or an `add` before."""


class DurabilityWarning(UserWarning):
    """What is written here may not survive what it would survive elsewhere."""
