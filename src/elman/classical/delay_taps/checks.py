"""Checks of the settings and rows that an autoregression is fitted with."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from elman.classical.checks import as_sequences, per_step_reals
from elman.sequences import Sequences

METHODS = ("least_squares", "ridge", "yule_walker")
CRITERIA = ("aic", "bic")
LARGEST = 1e150
WHERE = "DelayTaps.fit"


def settings(order: Any, method: str, penalty: float | None, intercept: bool, max_order: int | None) -> None:
    """Raise a ValueError unless every setting is in range and has an effect."""
    chosen = isinstance(order, str)
    if chosen and order not in CRITERIA:
        raise ValueError(
            f"{WHERE}: expected order to be an int of at least 0, or one of {', '.join(CRITERIA)}, got {order!r}."
        )
    for name, value in (("order", order), ("max_order", max_order)):
        if (name == "order" and chosen) or (name == "max_order" and value is None):
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{WHERE}: expected {name} to be an int of at least 0, got {value!r}.")
    if max_order is not None and not chosen:
        raise ValueError(
            f"{WHERE}: max_order={max_order} has no effect with order={order}; omit it, or choose order='aic'."
        )
    if method not in METHODS:
        raise ValueError(f"{WHERE}: expected method to be one of {', '.join(METHODS)}, got {method!r}.")
    if penalty is not None and method != "ridge":
        raise ValueError(
            f"{WHERE}: penalty={penalty} has no effect with method={method!r}; omit it, or choose 'ridge'."
        )
    if penalty is not None and not 0 <= penalty < math.inf:
        raise ValueError(f"{WHERE}: expected penalty of at least 0, got {penalty}.")
    if not isinstance(intercept, bool):
        raise ValueError(f"{WHERE}: expected intercept to be True or False, got {intercept!r}.")


def rows(sequences: Sequences | Iterable[np.ndarray]) -> Sequences:
    """Return the rows, each [T, D], as one batch, checked for fitting."""
    sequences = as_sequences(WHERE, sequences, columns=True)
    values = per_step_reals(WHERE, "values", sequences, sequences.values, "N D", missing=True)
    if not values.size:
        raise ValueError(f"{WHERE}: expected rows with steps, got values of shape {list(values.shape)}.")
    present = ~np.isnan(values)
    if not present.any():
        raise ValueError(f"{WHERE}: expected values, got {len(values)} steps, all of them missing.")
    if not present.any(0).all():
        raise ValueError(f"{WHERE}: coordinate {int(present.any(0).argmin())} is missing at every step; remove it.")
    largest = np.abs(values).max(where=present, initial=0.0)
    if largest > LARGEST:
        raise ValueError(
            f"{WHERE}: expected values up to {LARGEST:g}, whose squares are finite, got {largest:g}; use larger units."
        )
    return sequences.with_values(values)


def windows(rows: Sequences, order: int) -> int:
    """Return the number of windows of `order` steps that are followed by a step."""
    return int(np.maximum(rows.lengths - order, 0).sum())


def length(rows: Sequences, order: int, coefficients: int) -> None:
    """Raise a ValueError unless there are as many windows as coefficients, and at least one."""
    count = windows(rows, order)
    if not count:
        raise ValueError(
            f"{WHERE}: order {order} needs a row of at least {order + 1} steps without missing values, the longest has "
            f"{rows.lengths.max(initial=0)}; give a longer series, or a lower order."
        )
    if count < coefficients:
        raise ValueError(
            f"{WHERE}: order {order} has {coefficients} coefficients for each coordinate, but there are {count} "
            "windows; give more data, a lower order, or method='ridge'."
        )
