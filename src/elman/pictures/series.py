"""Shared parts of pictures of a series: a figure with one axis per coordinate, and a band around a mean."""

from statistics import NormalDist
from typing import Any

import numpy as np

from elman.arrays import as_array
from elman.sequences import Sequences

OBSERVED, LEVEL = "tab:gray", 0.9


def one_row(where: str, name: str, values: Any) -> np.ndarray:
    """Return the values of one row, [T, ...]: of an array, a list, a Series, a frame, or rows with this one alone.

    Raises:
        TypeError: the values are not those of a series, such as a model or a forecast.
        ValueError: there are several rows.
    """
    rows = values.to_list() if isinstance(values, Sequences) else values
    if isinstance(rows, list) and len(rows) == 1 and np.ndim(rows[0]):
        rows = rows[0]
    elif isinstance(values, Sequences):
        raise ValueError(f"{where}: expected {name} of a single row, got {len(rows)}; select one: x.select([0]).")
    try:
        array = None if isinstance(rows, tuple) and any(map(np.ndim, rows)) else as_array(rows)
    except (TypeError, ValueError):  # nested lists of different lengths
        array = None
    if array is None or not array.ndim or array.dtype.kind not in "biufO":
        raise TypeError(f"{where}: expected {name} as numbers [T] or [T, D], got {type(rows).__name__}.")
    return array


def as_series(where: str, name: str, values: Any) -> np.ndarray:
    """Return the numbers of one row, [T] or [T, D], as floats [T, D], with NaN where one is missing.

    Raises:
        TypeError: the values are not numbers.
        ValueError: there are several rows, or the array has another shape.
    """
    array = one_row(where, name, values)
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{where}: expected {name} as numbers [T] or [T, D], got {type(values).__name__}.") from None
    if numbers.ndim not in (1, 2) or not len(numbers):
        raise ValueError(
            f"{where}: expected {name} of shape [T] or [T, D], got {list(numbers.shape)}; pass a single row."
        )
    return numbers.reshape(len(numbers), -1)


def canvas(coordinates: int, title: str) -> tuple[Any, list[Any]]:
    """Return a figure and its axes, one below the other, with a common time axis."""
    from elman.pictures.figure import Figure

    figure = Figure(figsize=(9, 1.5 + 2.5 * coordinates), layout="constrained")
    axes = figure.subplots(coordinates, sharex=True, squeeze=False)[:, 0]
    axes[0].set_title(title)
    axes[-1].set_xlabel("step")
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure, list(axes)


def half_width(level: float, deviation: np.ndarray) -> np.ndarray:
    """Return half the width of the interval that a Gaussian of that standard deviation covers with probability `level`.

    Raises:
        ValueError: the level is not between 0 and 1.
    """
    check_level(level)
    return NormalDist().inv_cdf(0.5 + level / 2) * deviation


def check_level(level: float) -> None:
    """Raise unless `level` is a probability between 0 and 1.

    Raises:
        ValueError: the level is out of range.
    """
    if not 0 < level < 1:
        raise ValueError(f"pictures: expected a level between 0 and 1, got {level}; 0.9 is 90 %.")


def shade(axis: Any, times: np.ndarray, mean: np.ndarray, deviation: np.ndarray, level: float, **look: Any) -> None:
    """Draw a mean, and the interval that a Gaussian of that standard deviation covers with probability `level`."""
    width = half_width(level, deviation)
    axis.plot(times, mean, **look)
    axis.fill_between(times, mean - width, mean + width, color=look.get("color"), alpha=0.2, linewidth=0)
