"""Here is a question: which hits? A question is searched for, and the rows found become hits.

Not for comparing codes (`hashret.indexes`) nor for reading records (`hashret.store`).
"""
