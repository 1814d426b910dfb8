"""Which settings suit this corpus? Chosen without labels, on items held out (docs/adr/0019).

::

    tuner       the door: a sample of the items, the trials, a report
    search      coordinate descent within a time
    settings    what may be tuned
    criteria    how good codes are, as far as items that nobody labelled can tell
"""

from indexer.tuning.settings import Setting
from indexer.tuning.tuner import LEAST_ITEMS, Trial, TuningReport, tune

__all__ = ["LEAST_ITEMS", "Setting", "Trial", "TuningReport", "tune"]
