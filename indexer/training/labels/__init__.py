"""What if somebody knows the class of some items? Codes and neighbourhoods that tell it too.

`item_labels` reads the labels from metadata; `suggested` and `neighbours.neighbourhoods` let them
choose neighbours, `neighbours.telling_words` words; `head` has the code tell them. Nothing of it is
used unless labels are asked for, and nothing of it is in the encoder that is exported.
"""
