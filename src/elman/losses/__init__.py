"""What training lowers."""

from elman.losses.cross_entropy import cross_entropy

__all__ = ["cross_entropy"]
