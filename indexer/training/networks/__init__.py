"""What does the autoencoder look like while it learns? Trunks, bottlenecks, and the export.

A trunk makes networks and exports them as NumPy encoders (`hashret.models`); a bottleneck says
what a bit is while it learns. Not for losses (`objectives`), nor for the course of a training
(`trainer`).
"""
