"""What does a segment hold of its items? Codes, records, texts, features: files written once.

Not which segments make up a commit: that is the catalog's.
"""
