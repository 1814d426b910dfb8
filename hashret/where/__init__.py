"""Which items are meant? A condition on the metadata, parsed and never evaluated.

`grammar` reads a condition, `conditions` says what it means, `explain` why nothing satisfies it.
Not for SQL: `hashret.store.catalog.where` says a condition in the language of the catalog.
"""

from hashret.where.grammar import parse

__all__ = ["parse"]
