"""Which training items are alike? Neighbourhoods found without labels, and the views they use.

Not for searching codes: that is `hashret.indexes`.
"""
