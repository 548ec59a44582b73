"""Autoregressions: the next input as a linear function of the last p."""

from elman.classical.delay_taps.forecast import Forecast
from elman.classical.delay_taps.model import DelayTaps

__all__ = ["DelayTaps", "Forecast"]
