"""Here are items: give me segments. Look up, prepare, encode, write, commit, compact.

Not for reading files (`indexer.corpus`) nor for learning (`indexer.training`).
"""
