"""Which items are meant? A condition on the metadata, parsed and never evaluated.

`grammar` parses a condition, `conditions` defines what it means, and `explain` says why no item
satisfies it. Not for SQL: `hashret.store.catalog.where` translates a condition for the catalog.
"""

from hashret.where.grammar import parse

__all__ = ["parse"]
