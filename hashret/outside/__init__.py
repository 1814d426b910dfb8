"""Which files are not a collection's? Those that users name, and what this machine keeps.

A path that users name is followed, links and all; in a collection (`hashret.store`) no link is.
"""
