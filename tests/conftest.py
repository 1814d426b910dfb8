"""Settings for the whole suite, made before NumPy, torch or Faiss is imported."""

import os

# One thread: the tests are small, and two busy OpenMP pools on two cores crawl.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("NO_COLOR", "1")

from hypothesis import HealthCheck, settings  # noqa: E402

# Shared machines stall: no deadline an example, and the same examples in every run.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")
