"""Filtered and smoothed level of a series, with uncertainty."""

from typing import Any

import numpy as np

from elman.pictures.series import LEVEL, OBSERVED, as_series, canvas, shade

COLORS = {"filtered": "tab:orange", "smoothed": "tab:blue"}


def bands(series: Any, filtered: Any = None, smoothed: Any = None, level: float = LEVEL, title: str = "") -> Any:
    """Draw a series with the filtered level (given the past) and the smoothed level (given all steps), as bands.

    Args:
        series: one row, [T] or [T, D]; NaN leaves a gap.
        filtered, smoothed: (mean, standard deviation), each of the shape of the series.
        level: probability that a band covers, between 0 and 1.
    Returns:
        a matplotlib Figure; `figure.savefig("bands.png")` writes it.
    Raises:
        TypeError: a part is not an array of numbers.
        ValueError: neither filtered nor smoothed is given, or the shapes differ.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> figure = bands(np.array([1.0, 2.0]), smoothed=(np.array([1.2, 1.8]), np.array([0.3, 0.3])))
        >>> len(figure.axes)
        1
    """
    observed = as_series("pictures.bands", "series", series)
    given = {name: pair for name, pair in (("filtered", filtered), ("smoothed", smoothed)) if pair is not None}
    if not given:
        raise ValueError("pictures.bands: expected filtered or smoothed, got neither; pass a pair (mean, deviation).")
    figure, axes = canvas(observed.shape[1], title)
    times = np.arange(len(observed))
    for name, pair in given.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError(f"pictures.bands: expected {name}=(mean, deviation), got {type(pair).__name__}; "
                             "the series comes first: bands(series, smoothed=(mean, deviation)).")  # fmt: skip
        mean, deviation = (as_series("pictures.bands", name, part) for part in pair)
        for part in (mean, deviation):
            if part.shape != observed.shape:
                expected, got = list(observed.shape), list(part.shape)
                raise ValueError(f"pictures.bands: expected {name} of the shape of the series {expected}, got {got}.")
        for number, axis in enumerate(axes):
            # An infinite deviation, of a diffuse initial state, has no band.
            known = np.where(np.isfinite(deviation[:, number]), deviation[:, number], np.nan)
            shade(axis, times, mean[:, number], known, level, color=COLORS[name], label=f"{name}, {level:.0%}")
    for number, axis in enumerate(axes):
        axis.plot(times, observed[:, number], color=OBSERVED, marker=".", linewidth=0, label="observed")
        low, high = np.nanmin(observed[:, number]), np.nanmax(observed[:, number])
        axis.set_ylim(low - 0.5 * (high - low) - 1e-12, high + 0.5 * (high - low) + 1e-12)
    axes[0].legend(loc="upper right")
    return figure
