"""How numbers are packed in the arrays of indexes, which NumPy and kernels both go by."""

import numpy as np

#: Two numbers of 32 bits share a word of 64: the mask of the lower one, the shift of the upper one.
LOW, HALF = np.uint64((1 << 32) - 1), np.uint64(32)
#: log2 of the cells in a block of a hash table: their bits fill a word.
BLOCK = 6
#: A reference below this number is a row; from it on, a reference minus it is the number of a run.
RUN = 1 << 31
