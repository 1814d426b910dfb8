"""How are codes of a user's own vectors learned? Two towers, begun at the best rotation (ITQ).

`towers` is their trainer, `itq` the rotation; `identity` takes vectors of bits as they are. Not for
vectors by the deep autoencoder: that is `trainer`, with the presets "dense" and "variational".
"""
