"""What does a person type to measure codes, and to choose how they are learned?"""
