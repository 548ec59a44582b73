"""What training lowers."""

from elman.losses.cross_entropy import REDUCTIONS, cross_entropy

__all__ = ["REDUCTIONS", "cross_entropy"]
