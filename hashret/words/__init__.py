"""Here are the words of a question: which texts have them, and how much do they tell?

Inverted indexes of immutable ranges of texts, and BM25 over several of them. Not for splitting
texts into words (`hashret.features`) nor for reading and keeping files (`hashret.store`).
"""
