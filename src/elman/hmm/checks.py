"""Checks of X, lengths and settings, each with a one-line error, and the random generator for `random_state`."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np

from elman.arrays import as_array
from elman.nearest import did_you_mean
from elman.rows import Rows


class NotFittedError(ValueError, AttributeError):
    """Error of a model without parameters, neither fitted nor set as attributes."""


def observations(where: str, X: Any) -> np.ndarray:
    """Return `X` as an array [N, D] of finite numbers, N and D at least 1; integers stay integers.

    Raises:
        TypeError: the values are not real numbers.
        ValueError: the rows differ in width, X is not two-dimensional or empty, or a number is NaN or infinite.
    Example:
        >>> observations("GaussianHMM.fit", [[1.0, 2.0], [3.0]])
        Traceback (most recent call last):
            ...
        ValueError: GaussianHMM.fit: expected X of rows of one width, got 2 numbers in row 0 and 1 in row 1.
    """
    try:
        array = as_array(X)
    except ValueError:
        raise ValueError(f"{where}: expected X of rows of one width, {_widths(X)}.") from None
    if array.dtype.kind == "O":  # for example a table of mixed columns
        with suppress(TypeError, ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{where}: expected X of real numbers, got {array.dtype}; encode it first.")
    if array.ndim != 2:
        raise ValueError(f"{where}: expected X of shape [N, D], got {list(array.shape)}; "
                         "X.reshape(-1, 1) makes a column of one series.")  # fmt: skip
    if not array.size:
        raise ValueError(f"{where}: expected X of at least one row and one feature, got {list(array.shape)}.")
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        row, column = np.argwhere(~finite)[0].tolist()
        wrong = array[row, column]
        way_out = "elman.HMM reads NaN as missing" if np.isnan(wrong) else "correct the data"
        raise ValueError(f"{where}: expected X of finite numbers, got {wrong} at [{row}, {column}]; {way_out}.")
    return array


def _widths(X: Any) -> str:
    """Describe the first two rows of `X` that differ in width."""
    sizes = [len(row) if hasattr(row, "__len__") else 1 for row in X]
    other = next((number for number, size in enumerate(sizes) if size != sizes[0]), None)
    if other is None:
        return "got rows that are not plain lists of numbers"
    return f"got {sizes[0]} numbers in row 0 and {sizes[other]} in row {other}"


def row_lengths(where: str, lengths: Any, steps: int) -> np.ndarray:
    """Return `lengths` [B] as int64, read-only; None is one row of all steps.

    Raises:
        ValueError: they are not integers of at least 0 that sum to `steps`.
    Example:
        >>> row_lengths("GaussianHMM.fit", [5, 6], 10)
        Traceback (most recent call last):
            ...
        ValueError: GaussianHMM.fit: expected lengths that sum to 10 steps, got 11.
    """
    return Rows([steps] if lengths is None else lengths, steps, where).lengths


def one_of(where: str, name: str, value: Any, known: Iterable[str]) -> Any:
    """Return `value` if it is one of the known words; else raise a ValueError that suggests the nearest."""
    words = sorted(known)
    if value not in words:
        raise ValueError(f"{where}: expected {name} of {', '.join(words)}, got {value!r}{did_you_mean(value, words)}")
    return value


def integers(where: str, X: np.ndarray, below: int | None = None) -> None:
    """Raise a ValueError unless X holds integers from 0, less than `below` where that is given."""
    if X.dtype.kind not in "iu":
        raise ValueError(f"{where}: expected X of integers, got {X.dtype}; convert whole numbers with .astype(int).")
    if X.min() < 0:
        raise ValueError(f"{where}: expected X of integers of at least 0, got {X.min()}.")
    if below is not None and X.max() >= below:
        raise ValueError(f"{where}: expected symbols from 0 to {below - 1}, got {X.max()}; it was never seen in "
                         "training, n_features makes room for it.")  # fmt: skip


def counts(where: str, X: np.ndarray) -> np.ndarray:
    """Return X as float64; raise a ValueError unless it holds whole numbers of at least 0."""
    X = X.astype(np.float64)
    wrong = (X < 0) | (np.floor(X) != X)
    if wrong.any():
        raise ValueError(f"{where}: expected X of counts, whole numbers of at least 0, got {X[wrong][0]:.6g} at "
                         f"{np.argwhere(wrong)[0].tolist()}.")  # fmt: skip
    return X


def random_generator(seed: Any) -> np.random.RandomState:
    """Return the generator for `random_state`, as scikit-learn's `check_random_state` does.

    Args:
        seed: an integer; a RandomState or Generator, whose stream continues; None: NumPy's global generator.
    Raises:
        ValueError: the seed is of another type, or out of range.
    """
    if seed is None or seed is np.random:
        return np.random.mtrand._rand
    if isinstance(seed, np.random.RandomState):
        return seed
    if isinstance(seed, np.random.Generator):
        return np.random.RandomState(seed.bit_generator)
    if isinstance(seed, int | np.integer) and 0 <= seed < 2**32:
        return np.random.RandomState(int(seed))
    raise ValueError(f"random_state: expected None, an integer from 0 to 2**32 - 1 or a generator, got {seed!r}.")
