"""What does the autoencoder look like while it learns? Trunks, bottlenecks, and the export.

A trunk makes networks and exports them as NumPy encoders (`hashret.models`). A bottleneck defines
what stands for a bit during training. Not for losses (`objectives`), nor for the order of training
(`trainer`).
"""
