"""Here is my row: which item is it? The only room for a collection's files.

`layout` says where they are and `disk` how they get there to stay; `segments` what they hold of
items, `catalog` which of them make up a commit; `repair` what can be rescued of damaged ones.
"""
