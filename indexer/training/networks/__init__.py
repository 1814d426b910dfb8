"""What does the autoencoder look like while it learns? Trunks, the bottleneck, and the export.

`export` turns a trained network into the NumPy encoder that is stored (`hashret.models`).
Not for losses (`objectives`) nor for the course of a training (`trainer`).
"""
