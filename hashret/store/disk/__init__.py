"""How does a file of a collection get on the disk to stay, and what makes it believed again?"""
