"""What does a person type to read a collection? The reading verbs of the command `hashret`.

The writing verbs are in `indexer.cli`, which joins both groups into one command.
"""
