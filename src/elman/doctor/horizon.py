"""How far back the gradient reaches: the lags over which a net can learn that one thing depends on another."""

import math

import numpy as np

from elman.doctor.lags import Lags

FAINT = 0.01  # of the gradient at lag 0: what is left of it at the horizon
LEVEL = 1e-9  # a slope that roundings make


def horizon(lags: Lags, faint: float = FAINT) -> float:
    """The lag at which `faint` is left of the gradient, in steps; infinite where it does not fade.

    Where it has not fallen so far within what was measured, the second half of the curve is continued in a straight
    line of its logarithm: what halves every 20 steps has a horizon of 133 steps, though rows be of 50.
    NaN where the loss reaches no step that has others before it.
    """
    logs = _logs(lags)
    if len(logs) < 2:
        return math.nan
    below = np.flatnonzero(logs < math.log(faint))
    if len(below):
        lag = int(below[0])
        over = logs[lag - 1] - math.log(faint)
        return float(lag - 1 + over / (logs[lag - 1] - logs[lag]))
    slope = _slope(logs[len(logs) // 2 :]) if len(logs) > 3 else _slope(logs)
    return math.inf if slope >= 0 else float(len(logs) - 1 + (logs[-1] - math.log(faint)) / -slope)


def half_life(lags: Lags) -> float:
    """The steps in which the gradient halves, from its mean slope down to the horizon; infinite where it does not."""
    logs = _logs(lags)
    below = np.flatnonzero(logs < math.log(FAINT))
    slope = _slope(logs[: below[0] + 1] if len(below) else logs)
    return math.inf if slope >= 0 else math.log(0.5) / slope


def growth(lags: Lags) -> float:
    """What the gradient is multiplied with at each step back, over all lags measured: above 1 it explodes."""
    return math.exp(_slope(_logs(lags)))


def _logs(lags: Lags) -> np.ndarray:
    """The logarithms of the curve, up to its last lag."""
    curve = lags.curve
    limits = np.finfo(np.float64)
    return np.log(np.clip(curve[~np.isnan(curve)], limits.tiny, limits.max))


def _slope(logs: np.ndarray) -> float:
    """Of a straight line through the logarithms, a step; NaN where there is one alone."""
    if len(logs) < 2:
        return math.nan
    slope = float(np.polyfit(np.arange(len(logs)), logs, 1)[0])
    return 0.0 if abs(slope) < LEVEL else slope
