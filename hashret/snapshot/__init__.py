"""What does a collection hold at one commit? Codes, items, features, and the model they came from.

A `Snapshot` has what searching needs. What only some ask of one has a file of its own: `decoding`
is what its model says of codes and of payloads with noise, `payloads` what is kept of an item's own
payload, `originals` the file it came from; `exporting` writes all into one file, and `about` says
what there is to say of the commit.
"""

from hashret.snapshot.snapshot import Snapshot

__all__ = ["Snapshot"]
