"""Here is my row: which item is it? The only room for a collection's files."""
