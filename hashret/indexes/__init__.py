"""Here is a code: give me the rows near it.

Every index answers the same two questions (`search` for the k nearest, `within` for a radius)
on the same codes with the same answers; they differ in memory, build time and speed. Those in
`APPROXIMATE` answer only the k nearest, may miss some, and say how many. Importing this package
imports no index.
"""

from hashret.indexes.base import APPROXIMATE, INDEXES, Index

__all__ = ["APPROXIMATE", "INDEXES", "Index"]
