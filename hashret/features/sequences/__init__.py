"""Here is my sequence, of numbers or of tokens in their order: what are its features?"""
