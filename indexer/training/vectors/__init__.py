"""How are codes of a user's own vectors learned? Two towers, starting at a rotation (ITQ).

`towers` is the trainer, `itq` finds the rotation, `identity` takes packed bits as they are, and
`packed` warns of numbers that look like such. Not for the deep autoencoder of vectors (presets
"dense" and "variational"): that is `trainer`.
"""
