"""Where every figure in the documentation comes from: one command each, peers side by side.

Run from the project's root as ``python -m benchmarks.NAME --help``. Nothing here is part of
the installed package, and no test depends on a time measured here.
"""
