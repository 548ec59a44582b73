"""Loss functions."""

from elman.optional_packages import needed_by

with needed_by("elman.losses"):
    import torch  # noqa: F401  # the first import of it, for an error that names this module

from elman.losses.crf import CRFLoss, crf_loss
from elman.losses.cross_entropy import REDUCTIONS, cross_entropy
from elman.losses.readout_loss import readout_loss

__all__ = ["REDUCTIONS", "CRFLoss", "crf_loss", "cross_entropy", "readout_loss"]
