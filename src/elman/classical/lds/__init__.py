"""Linear dynamical systems: the Kalman filter as a cell, smoothing, forecasts, fitting, and common systems."""

from elman.classical.forecast import Forecast
from elman.classical.lds.inputs import Observed
from elman.classical.lds.model import LDS
from elman.classical.lds.results import Filtered, Sample, Smoothed, deviation
from elman.classical.lds.structures import constant_velocity, local_level, local_trend, seasonal, stack
from elman.classical.lds.variances import Variance
from elman.kernels.kalman import Prediction

__all__ = ["LDS", "Filtered", "Forecast", "Observed", "Prediction", "Sample", "Smoothed", "Variance",
           "constant_velocity", "deviation", "local_level", "local_trend", "seasonal", "stack"]  # fmt: skip
