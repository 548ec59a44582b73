"""From distributions over the next unit to units."""

from elman.decoding.sampling import Sampling

__all__ = ["Sampling"]
