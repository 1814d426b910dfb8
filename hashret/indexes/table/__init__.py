"""Which rows have this code, or nearly? The hash table, and the orders of probing it."""
