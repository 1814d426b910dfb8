"""Here is a document's bytes: what is its text? One file for each format."""
