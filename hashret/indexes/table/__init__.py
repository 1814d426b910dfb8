"""Which rows have this code, or nearly? The hash table, and the orders in which it is probed."""
