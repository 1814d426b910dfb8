"""What can a person see in the codes? Why a hit is one, what a bit means, duplicates, the map.

Each question here is asked of an open `Collection`. Not here: searching (`search/`), how an answer
looks on a terminal (`cli/`) or over HTTP (`server/`).
"""
