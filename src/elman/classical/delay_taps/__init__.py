"""Autoregressive models: the next input as a linear function of the last p inputs."""

from elman.classical.delay_taps.model import DelayTaps
from elman.classical.forecast import Forecast

__all__ = ["DelayTaps", "Forecast"]
