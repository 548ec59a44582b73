"""Checks of rows and arrays, with one-line errors: where, expected, got, way out."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from elman import state as states
from elman.arrays import as_array
from elman.sequences import Sequences
from elman.shapes import check


def as_sequences(where: str, rows: Sequences | Iterable[Any]) -> Sequences:
    """Return Sequences unchanged, and a list of arrays [T, ...] (or tuples of them), one per row, as Sequences.

    Raises:
        TypeError: one array is given instead of a list of rows.
        ValueError: there are no rows, or they differ in width.
    Example:
        >>> as_sequences("HMM.fit", [np.zeros((3, 2)), np.zeros((4, 1))])
        Traceback (most recent call last):
            ...
        ValueError: HMM.fit: expected rows of one width, got steps of shape [2] in row 0 and [1] in row 1.
    """
    if isinstance(rows, Sequences):
        return rows
    if isinstance(rows, np.ndarray):
        raise TypeError(f"{where}: expected Sequences or a list of rows, got one array; give [x] for a single row.")
    rows = [states.map(as_array, row) for row in rows]
    if not rows:
        raise ValueError(f"{where}: expected at least one row, got none.")
    widths = [step_shapes(row) for row in rows]
    for number, width in enumerate(widths):
        if width != widths[0]:
            raise ValueError(f"{where}: expected rows of one width, got steps of shape {widths[0]} in row 0 and "
                             f"{width} in row {number}.")  # fmt: skip
    return Sequences.from_list(rows)


def step_shapes(row: Any) -> str:
    """Describe the shapes of one step."""
    return " and ".join(str(list(leaf.shape[1:])) for leaf in states.leaves(row))


def place(sequences: Sequences, step: int) -> str:
    """Return the place of a step of a batch, such as `row 3, step 7`."""
    return f"row {int(sequences.rows[step])}, step {int(sequences.times[step])}"


def reals(where: str, name: str, array: Any, spec: str, missing: bool = False) -> np.ndarray:
    """Return `array`, checked to be float64, of that shape and finite.

    Args:
        missing: whether NaN is legal.
    Raises:
        TypeError: the array is not float64.
        ValueError: the shape is wrong, a number is infinite, or NaN where values must not be missing.
    Example:
        >>> reals("LDS.scan", "values", np.zeros((3, 2), np.int64), "N D=2")
        Traceback (most recent call last):
            ...
        TypeError: LDS.scan: expected values of float64, got int64; convert them with .astype(np.float64).
    """
    array = as_array(array)
    check(where, name, array, spec)
    if array.dtype != np.float64:
        raise TypeError(
            f"{where}: expected {name} of float64, got {array.dtype}; convert them with .astype(np.float64)."
        )
    wrong = np.isinf(array) if missing else ~np.isfinite(array)
    if wrong.any():
        place = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
        allowed = "finite numbers, or NaN where one is missing" if missing else "finite numbers"
        raise ValueError(
            f"{where}: expected {name} of {allowed}, got {array[wrong][0]} at [{place}]; correct the data."
        )
    return np.ascontiguousarray(array)


def integers(where: str, name: str, array: Any, spec: str, below: int | None = None) -> np.ndarray:
    """Return `array` as int64, checked to hold integers from 0 to `below` - 1 in that shape.

    Raises:
        TypeError: the values are not integers.
        ValueError: the shape is wrong, or an integer is out of range.
    Example:
        >>> integers("CRF.log_prob", "tags", np.array([0, 3]), "N", below=3)
        Traceback (most recent call last):
            ...
        ValueError: CRF.log_prob: expected tags from 0 to 2, got 3 at [1].
    """
    array = as_array(array)
    check(where, name, array, spec)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{where}: expected {name} of integers, got {array.dtype}.")
    wrong = array < 0 if below is None else (array < 0) | (array >= below)
    if wrong.any():
        place = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
        allowed = "of at least 0" if below is None else f"from 0 to {below - 1}"
        raise ValueError(f"{where}: expected {name} {allowed}, got {array[wrong][0]} at [{place}].")
    return array.astype(np.int64)


def distribution(where: str, name: str, array: Any, spec: str) -> np.ndarray:
    """Return `array`, checked to be float64 and non-negative, with sums of one along the last axis, to 1e-8.

    Raises:
        TypeError, ValueError: the array is not a distribution.
    Example:
        >>> distribution("HMM", "start", np.array([0.5, 0.4]), "K=2")
        Traceback (most recent call last):
            ...
        ValueError: HMM: expected start of probabilities that add up to 1, got a sum of 0.9; divide them by their sum.
    """
    array = reals(where, name, array, spec)
    if (array < 0).any():
        raise ValueError(f"{where}: expected {name} of probabilities, got {array.min():.6g}; none may be negative.")
    sums = array.sum(-1)
    wrong = np.abs(sums - 1) > 1e-8
    if wrong.any():
        row = f" in row {int(np.flatnonzero(wrong)[0])}" if sums.ndim else ""
        raise ValueError(f"{where}: expected {name} of probabilities that add up to 1, got a sum of "
                         f"{sums[wrong].flat[0]:.6g}{row}; divide them by their sum.")  # fmt: skip
    return array


def positive_definite(where: str, name: str, array: Any, spec: str, semi: bool = False) -> np.ndarray:
    """Return `array`, checked to hold symmetric, positive definite float64 matrices (with `semi`: semidefinite).

    Raises:
        TypeError, ValueError: a matrix is not positive definite; the message has the number of the first one.
    Example:
        >>> positive_definite("Gaussian", "cov", np.array([np.eye(2), -np.eye(2)]), "K=2 D=2 D=2")
        Traceback (most recent call last):
            ...
        ValueError: Gaussian: expected cov of positive definite matrices, got eigenvalue -1 in matrix 1.
    """
    array = reals(where, name, array, spec)
    matrices = array.reshape(-1, *array.shape[-2:])
    for number, matrix in enumerate(matrices):
        one = f" in matrix {number}" if array.ndim > 2 else ""
        scale = np.abs(matrix).max(initial=0.0)
        if np.abs(matrix - matrix.T).max(initial=0.0) > 1e-8 * scale:
            raise ValueError(f"{where}: expected {name} of symmetric matrices, got another{one}; take (A + A.T) / 2.")
        lowest = np.linalg.eigvalsh(matrix).min(initial=np.inf)
        if lowest < -1e-10 * scale if semi else lowest <= 0:
            kind = "positive semidefinite" if semi else "positive definite"
            raise ValueError(f"{where}: expected {name} of {kind} matrices, got eigenvalue {lowest:.6g}{one}.")
    return array


def check_names(where: str, arrays: Mapping[str, Any], needed: Collection[str], optional: Collection[str] = ()) -> None:
    """Raise unless the arrays of a saved model have all needed names, and no others than the optional ones.

    Raises:
        ValueError: a name is missing or unknown.
    """
    if not set(needed) <= set(arrays) <= {*needed, *optional}:
        got = ", ".join(sorted(arrays)) or "none"
        raise ValueError(f"{where}: expected arrays {', '.join(needed)}, got {got}; the file belongs to another model.")


def sorted_keys(where: str, name: str, array: Any, below: int) -> np.ndarray:
    """Return a table of keys, checked to be ascending integers from 0 to `below` - 1.

    Raises:
        TypeError, ValueError: it is not.
    """
    keys = integers(where, name, array, "G", below=below)
    if (np.diff(keys) <= 0).any():
        raise ValueError(f"{where}: expected {name} in ascending order.")
    return keys
