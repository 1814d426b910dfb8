"""Here is a payload with noise: what is it without? Around a denoiser, which sees only numbers."""
