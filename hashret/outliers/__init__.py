"""Which items are unlike the others? Distances to the nearest usual ones, as p-values.

Not for how the codes came about (`insight`), nor for changing anything: nothing is written here.
"""
