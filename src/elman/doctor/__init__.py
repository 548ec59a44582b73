"""Diagnosis of models that do not learn: gradients, gates and states on real data, in numbers and words.

`examine` accepts any PyTorch module with cells of elman, or with an `RNN`, `LSTM` or `GRU` of `torch.nn`.
"""

from elman.optional_packages import needed_by

with needed_by("elman.doctor"):
    import torch  # noqa: F401  # the first import of it, for an error that names this module

from elman.doctor.capture import Captured, capture
from elman.doctor.examination import Examination, examine
from elman.doctor.facts import Facts
from elman.doctor.findings import CellInfo, Findings, Layer, Verdict
from elman.doctor.rules import verdicts

__all__ = [
    "Captured",
    "CellInfo",
    "Examination",
    "Facts",
    "Findings",
    "Layer",
    "Verdict",
    "capture",
    "examine",
    "verdicts",
]


def __dir__() -> list[str]:
    return __all__
