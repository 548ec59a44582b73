"""What a model is worth on data it has not seen."""

from elman.metrics.likelihood import Likelihood

__all__ = ["Likelihood"]
