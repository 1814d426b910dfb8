"""Here are items: give me segments. Items are looked up, prepared, encoded, written, committed.

Not for reading files (`indexer.corpus`) nor for learning (`indexer.training`).
"""
