"""Which training settings suit this corpus? Chosen without labels, on held-out items.

::

    tuner       `tune`: a sample of the items, the trials, a report
    search      coordinate descent within a time limit
    settings    what can be tuned
    criteria    the quality of codes, measured without labels
    recipes     a tuned setting as a file

Why these settings and criteria: docs/adr/0019.
"""

from indexer.tuning.settings import Setting
from indexer.tuning.tuner import LEAST_ITEMS, Trial, TuningReport, tune

__all__ = ["LEAST_ITEMS", "Setting", "Trial", "TuningReport", "tune"]
