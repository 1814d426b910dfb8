"""Teach a denoiser on the items that a model is learned from (`hashret.decoders`)."""
