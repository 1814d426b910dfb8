"""Here is a code: give me the rows near it.

Every index answers the same two questions (`search` for the k nearest, `within` for a radius) and
gives the same answers; indexes differ in memory, build time and speed. Those in `APPROXIMATE`
answer only the k nearest, may miss some of them, and say what share they find. Importing this
package imports no index. Not for records of items, nor for the order in which hits are shown.
"""

from hashret.indexes.base import APPROXIMATE, INDEXES, Index

__all__ = ["APPROXIMATE", "INDEXES", "Index"]
