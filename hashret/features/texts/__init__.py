"""Here is a text: what are its features? Words, how they are spelt, and their order."""
