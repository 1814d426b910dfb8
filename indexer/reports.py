"""The former home of the options and reports of training, for code that was written before.

New code imports them from `indexer` or `indexer.training`.
"""

from indexer.training.options import Multiples, TrainingOptions
from indexer.training.report import StageReport, TrainingReport

__all__ = ["Multiples", "StageReport", "TrainingOptions", "TrainingReport"]
