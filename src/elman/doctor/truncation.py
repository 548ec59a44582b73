"""How far truncated backpropagation through time cuts the gradient short (Williams and Peng 1990).

The gradient of a loss is a sum over lags; how much of it lies at each is told by the curve of `Lags`, which is
continued behind its last lag in the straight line of its logarithm, as for the horizon. No time worth telling.
"""

import math

import numpy as np

from elman.doctor.lags import Lags


def beyond(lags: Lags, unrolled: int) -> float:
    """The share of the gradient, 0 to 1, that lies `unrolled` steps back and further: the last step of a window of so
    many steps loses it, and no step loses less.

    1 where the gradient does not fade; NaN where the loss reaches no step that has others before it.
    """
    return _cut(lags, np.zeros(unrolled))


def lost(lags: Lags, unrolled: int) -> float:
    """The same, the mean over all steps of the window: the gradient of its first step goes back no step at all."""
    return _cut(lags, np.arange(unrolled) / unrolled)


def _cut(lags: Lags, parts: np.ndarray) -> float:
    """The share that is cut, where `parts` [U] are cut at the lags 0 to U - 1, and all behind."""
    curve = lags.curve
    logs = np.log(np.maximum(curve[~np.isnan(curve)], np.finfo(np.float64).tiny))
    if len(logs) < 2:
        return math.nan
    late = logs[len(logs) // 2 :] if len(logs) > 3 else logs
    slope = float(np.polyfit(np.arange(len(late)), late, 1)[0])
    if slope >= 0:
        return 1.0
    further = np.arange(1, len(parts) - len(logs) + 1)
    logs = np.concatenate([logs, logs[-1] + slope * further])
    sizes = np.exp(logs - logs.max())
    rest = sizes[-1] / math.expm1(-slope)
    cut = (parts * sizes[: len(parts)]).sum() + sizes[len(parts) :].sum() + rest
    return float(cut / (sizes.sum() + rest))
