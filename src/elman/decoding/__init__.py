"""From distributions over the next unit to units."""

from elman.decoding.sampling import Sampling
from elman.decoding.text_stream import TextStream

__all__ = ["Sampling", "TextStream"]
