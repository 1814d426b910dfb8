"""How good are the codes of a collection? Measured by labels, or by relevance judgements."""

from indexer.evaluation.judged import JudgedEvaluation, evaluate_judged, read_judgements
from indexer.evaluation.labelled import LabelledEvaluation, evaluate

__all__ = [
    "JudgedEvaluation",
    "LabelledEvaluation",
    "evaluate",
    "evaluate_judged",
    "read_judgements",
]
