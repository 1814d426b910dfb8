"""Is a collection sound, and what can be rescued of it if not?"""
