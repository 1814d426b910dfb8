"""What if a stranger's file kills its decoder? Decoding is done in worker processes with limits.

If a worker dies, the item that killed it is found and refused, and all others are processed.
Messages are never pickled. `refusals` has every reason why something in a source is no item.
"""
