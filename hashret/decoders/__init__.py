"""Here is a code: what was it of? Decoders, and codes to decode.

A decoder turns codes into features; the featurizer says what payload has them
(`Featurizer.restored`). Not for learning one: that is `indexer.training.decoder`.
"""
