"""Here are items: give me a model. A sample of them, its features, an encoder and its decoders.

Not for writing items (`indexer.ingest`), nor for losses (`indexer.training`).
"""
