"""Forecast of a series with prediction intervals."""

from typing import Any

import numpy as np

from elman.pictures.series import LEVEL, OBSERVED, as_series, canvas, shade


def forecast(series: Any, mean: Any, deviation: Any, truth: Any = None, level: float = LEVEL, title: str = "") -> Any:
    """Draw a series and its forecast with prediction intervals, and the true values if they are known.

    Args:
        series: observed values, [T] or [T, D].
        mean, deviation: mean and standard deviation of the forecast at each of the next S steps, [S] or [S, D].
        truth: true values, [S] or [S, D].
        level: probability that the intervals cover, between 0 and 1.
    Returns:
        a matplotlib Figure; `figure.savefig("forecast.png")` writes it.
    Raises:
        ValueError: the shapes differ.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> figure = forecast(np.array([1.0, 2.0]), mean=[2.5, 2.8], deviation=[0.1, 0.2], truth=[2.4, 3.0])
        >>> len(figure.axes)
        1
    """
    observed, expected = (as_series("pictures.forecast", *pair) for pair in (("series", series), ("mean", mean)))
    spread = as_series("pictures.forecast", "deviation", deviation)
    came = None if truth is None else as_series("pictures.forecast", "truth", truth)
    shapes = {"mean": expected, "deviation": spread, "truth": came}
    for name, array in shapes.items():
        wanted = [len(expected), observed.shape[1]]
        if array is not None and list(array.shape) != wanted:
            raise ValueError(f"pictures.forecast: expected {name} of shape {wanted}, got {list(array.shape)}.")
    figure, axes = canvas(observed.shape[1], title)
    before, after = np.arange(len(observed)), len(observed) + np.arange(len(expected))
    for number, axis in enumerate(axes):
        axis.plot(before, observed[:, number], color=OBSERVED, label="observed")
        label = f"forecast, {level:.0%}"
        shade(axis, after, expected[:, number], spread[:, number], level, color="tab:blue", label=label)
        if came is not None:
            axis.plot(after, came[:, number], color=OBSERVED, linestyle=":", label="true")
    axes[0].legend(loc="upper left")
    return figure
