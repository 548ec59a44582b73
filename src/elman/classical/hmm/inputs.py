"""Inputs of an HMM: observations, and a driving input for models that have one."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import place
from elman.sequences import Sequences
from elman.shapes import check


class Driven(NamedTuple):
    """Values of a batch with a driving input: `Sequences(Driven(x, u), lengths)`."""

    x: Any  # [N, ...] observations, NaN where missing
    u: np.ndarray  # [N, U] input at each step, never missing


def finite_or_missing(where: str, name: str, sequences: Sequences, values: np.ndarray) -> None:
    """Raise a ValueError that names row and step if a number is infinite."""
    wrong = np.isinf(values)
    if wrong.any():
        step = int(np.argwhere(wrong)[0][0])
        raise ValueError(f"{where}: expected {name} of finite numbers, or NaN where one is missing, got "
                         f"{values[wrong][0]} in {place(sequences, step)}; correct the data.")  # fmt: skip


def reals(where: str, sequences: Sequences, spec: str) -> np.ndarray:
    """Return observations, checked: float64 of shape `spec`, NaN where missing.

    Raises:
        TypeError: they are not float64.
        ValueError: the shape is wrong, or a number is infinite.
    """
    values = np.asarray(sequences.values)
    _one_feature(where, values, spec)
    if values.dtype != np.float64:
        raise TypeError(
            f"{where}: expected observations of float64, got {values.dtype}; convert them with .astype(np.float64)."
        )
    finite_or_missing(where, "observations", sequences, values)
    return np.ascontiguousarray(values)


def counts(where: str, sequences: Sequences, spec: str, below: int | None = None) -> np.ndarray:
    """Return observations as float64, checked: whole numbers from 0 to `below` - 1, NaN where missing.

    Raises:
        TypeError: they are neither integers nor float64.
        ValueError: the shape is wrong, or a number is not whole or out of range.
    """
    values = np.asarray(sequences.values)
    _one_feature(where, values, spec)
    if values.dtype.kind not in "iu" and values.dtype != np.float64 and values.size:
        raise TypeError(f"{where}: expected observations of integers (or float64 with NaN where one is missing), got "
                        f"{values.dtype}.")  # fmt: skip
    values = values.astype(np.float64)
    finite_or_missing(where, "observations", sequences, values)
    kept = ~np.isnan(values)
    wrong = kept & ((values < 0) | (values != np.floor(values)))
    if below is not None:
        wrong |= kept & (values >= below)
    if wrong.any():
        step = int(np.argwhere(wrong)[0][0])
        number = values[wrong][0]
        allowed = "of at least 0" if below is None else f"from 0 to {below - 1}"
        never = "; it was never seen in training" if below is not None and number >= below else ""
        raise ValueError(f"{where}: expected whole numbers {allowed}, got {number:.12g} in "
                         f"{place(sequences, step)}{never}.")  # fmt: skip
    return np.ascontiguousarray(values)


def drive(where: str, sequences: Sequences, size: int) -> tuple[Sequences, np.ndarray | None]:
    """Return the observations of a batch and its driving input [N, U]; None for a model without one (size 0)."""
    values = sequences.values
    if size == 0:
        if isinstance(values, tuple):
            raise TypeError(f"{where}: expected one array of observations, got a tuple; drive_size above 0 makes a "
                            "model with a driving input.")  # fmt: skip
        return sequences, None
    if not isinstance(values, tuple) or len(values) != 2:
        raise TypeError(f"{where}: expected values Driven(x, u) with u [N, U={size}], got {type(values).__name__}.")
    x, u = values
    u = np.asarray(u)
    check(where, "the driving input", u, f"N={sequences.num_steps} U={size}")
    if u.dtype != np.float64:
        raise TypeError(
            f"{where}: expected a driving input of float64, got {u.dtype}; convert it with .astype(np.float64)."
        )
    wrong = ~np.isfinite(u)
    if wrong.any():
        step = int(np.argwhere(wrong)[0][0])
        raise ValueError(f"{where}: expected a driving input of finite numbers, got {u[wrong][0]} in "
                         f"{place(sequences, step)}; it must not be missing.")  # fmt: skip
    return sequences.with_values(x), np.ascontiguousarray(u)


def _one_feature(where: str, values: np.ndarray, spec: str) -> None:
    """Raise a ValueError if the shape is wrong, with advice for a plain series."""
    if len(spec.split()) == 2 and values.ndim == 1:
        raise ValueError(f"{where}: expected observations of shape [{', '.join(spec.split())}], got "
                         f"{list(values.shape)}; a single series is x[:, None].")  # fmt: skip
    check(where, "observations", values, spec)
