"""What training lowers."""

from elman.losses.crf import CRFLoss, crf_loss
from elman.losses.cross_entropy import REDUCTIONS, cross_entropy

__all__ = ["REDUCTIONS", "CRFLoss", "crf_loss", "cross_entropy"]
