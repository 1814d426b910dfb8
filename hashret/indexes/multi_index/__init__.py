"""Which rows are nearest, exactly, without comparing all? Multi-index hashing over substrings."""
