"""Forecast of a series with prediction intervals."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from elman.classical.forecast import Forecast
from elman.pictures.series import LEVEL, OBSERVED, as_series, canvas, check_level, half_width

WHERE = "pictures.forecast"


def forecast(series: Any, forecast: Any, truth: Any = None, level: float = LEVEL, title: str = "") -> Any:
    """Draw a series and its forecast with prediction intervals, and the true values if they are known.

    Args:
        series: observed values of one row, [T] or [T, D]: a list, an array, a pandas Series or DataFrame, or a list or
            `Sequences` with this row alone. A missing value leaves a gap.
        forecast: forecast of the next S steps: the result of `forecast` of a model of elman, for one row; the result of
            `get_forecast` of statsmodels; a tuple (mean, standard deviation) or (mean, low, high); or the mean alone.
            Each part is [S] or [S, D].
        truth: true values, [S] or [S, D].
        level: probability that the intervals cover, between 0 and 1; of (mean, low, high), it is only printed.
    Returns:
        a matplotlib Figure; `figure.savefig("forecast.png")` writes it.
    Raises:
        TypeError: an argument is of another kind, such as a model, or series and forecast are swapped.
        ValueError: the shapes differ, or there are several rows.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> from elman import DelayTaps
        >>> series = np.sin(np.arange(40.0))[:, None]
        >>> figure = forecast(series, DelayTaps(order=2).fit([series]).forecast([series], steps=5))
        >>> len(figure.axes)
        1
    """
    check_level(level)
    if isinstance(series, Forecast) or hasattr(series, "observations") or hasattr(series, "predicted_mean"):
        raise TypeError(f"{WHERE}: expected the series first, got a forecast; give forecast(series, forecast).")
    observed, parts = as_series(WHERE, "series", series), _Parts.of(forecast, level)
    came = None if truth is None else as_series(WHERE, "truth", truth)
    wanted = [len(parts.mean), observed.shape[1]]
    for name, array in (*parts.named(), ("truth", came)):
        if array is not None and list(array.shape) != wanted:
            raise ValueError(f"{WHERE}: expected {name} of shape {wanted}, got {list(array.shape)}.")
    figure, axes = canvas(observed.shape[1], title)
    before, after = np.arange(len(observed)), len(observed) + np.arange(len(parts.mean))
    for number, axis in enumerate(axes):
        axis.plot(before, observed[:, number], color=OBSERVED, label="observed")
        label = "forecast" if parts.low is None else f"forecast, {level:.0%}"
        axis.plot(after, parts.mean[:, number], color="tab:blue", label=label)
        if parts.low is not None and parts.high is not None:
            low, high = parts.low[:, number], parts.high[:, number]
            axis.fill_between(after, low, high, color="tab:blue", alpha=0.2, linewidth=0)
        if came is not None:
            axis.plot(after, came[:, number], color=OBSERVED, linestyle=":", label="true")
    axes[0].legend(loc="upper left")
    return figure


class _Parts(NamedTuple):
    """Mean and bounds of a forecast, each [S, D]; without bounds, None."""

    mean: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def named(self) -> Iterator[tuple[str, np.ndarray | None]]:
        return zip(("the mean", "the lower bound", "the upper bound"), self, strict=True)

    @classmethod
    def of(cls, forecast: Any, level: float) -> "_Parts":
        """Return the parts of a forecast of any kind: see `forecast`."""
        forecast = getattr(forecast, "observations", forecast)  # of an HMM
        if isinstance(forecast, Forecast):
            rows = len(forecast.mean)
            if rows != 1:
                raise ValueError(f"{WHERE}: expected the forecast of a single row, got {rows}; forecast one row.")
            return cls(forecast.mean[0], *(bound[0] for bound in forecast.interval(level)))
        if hasattr(forecast, "predicted_mean"):  # statsmodels
            forecast = forecast.predicted_mean, forecast.se_mean
        if not isinstance(forecast, tuple):
            return cls(as_series(WHERE, "the mean", forecast))
        if len(forecast) not in (2, 3):
            raise ValueError(f"{WHERE}: expected (mean, deviation) or (mean, low, high), got {len(forecast)} parts.")
        names = (
            ("the mean", "the deviation") if len(forecast) == 2 else ("the mean", "the lower bound", "the upper bound")
        )
        mean, *others = (as_series(WHERE, name, part) for name, part in zip(names, forecast, strict=True))
        if len(others) == 2:
            return cls(mean, *others)
        [deviation] = others
        if deviation.shape != mean.shape:
            expected, got = list(mean.shape), list(deviation.shape)
            raise ValueError(f"{WHERE}: expected the deviation of shape {expected}, like the mean, got {got}.")
        width = half_width(level, deviation)
        return cls(mean, mean - width, mean + width)
