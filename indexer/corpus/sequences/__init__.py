"""Here are files: which sequences, of numbers or of tokens, are in them?"""
