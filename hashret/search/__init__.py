"""Here is a question: which hits? One question in, the rows found, then hits with their records.

Not for comparing codes (`hashret.indexes`) nor for reading records (`hashret.store`).
"""
