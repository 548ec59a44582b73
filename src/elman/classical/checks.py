"""Checks of rows and arrays, with one-line errors: where, expected, got, way out."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np

from elman import state as states
from elman.arrays import as_array
from elman.rows import one_step_each
from elman.sequences import Sequences
from elman.shapes import check


def as_sequences(where: str, rows: Sequences | Iterable[Any], columns: bool = False) -> Sequences:
    """Return rows [T, ...] (arrays, Series, data frames, lists, or tuples of them) as Sequences.

    Args:
        rows: Sequences, which are returned unchanged; a list of rows; or a single row, if it is an array, a Series, a
            data frame or a named tuple of arrays. A list is never a single row.
        columns: whether a step has D numbers: an array or a Series [T] is then a single column, [T, 1].
    Raises:
        TypeError: there are no rows to read, or a row is a generator.
        ValueError: the list is empty, rows differ in width, or, with `columns`, a row is a list of numbers or an array
            of more than two axes.
    Example:
        >>> as_sequences("HMM.fit", [np.zeros((3, 2)), np.zeros((4, 1))])
        Traceback (most recent call last):
            ...
        ValueError: HMM.fit: expected rows of one width, got steps of shape [2] in row 0 and [1] in row 1.
    """
    if isinstance(rows, Sequences):
        one = columns and not isinstance(rows.values, tuple) and rows.values.ndim == 1
        return rows.with_values(rows.values[:, None]) if one else rows
    given = list_of_rows(where, rows)
    rows = [_row(f"{where}: row {number}", row, columns) for number, row in enumerate(given)]
    if not rows:
        raise ValueError(f"{where}: expected at least one row, got none.")
    filled = next((row for row in rows if isinstance(row, np.ndarray) and len(row)), None)
    if filled is not None:  # an empty list gets the dtype and the width of the other rows
        rows = [filled[:0] if isinstance(one, list) and not one else row for one, row in zip(given, rows, strict=True)]
    widths = [step_shapes(row) for row in rows]
    for number, width in enumerate(widths):
        if width != widths[0]:
            raise ValueError(f"{where}: expected rows of one width, got steps of shape {widths[0]} in row 0 and "
                             f"{width} in row {number}.")  # fmt: skip
    return Sequences.from_list(rows)


def list_of_rows(where: str, rows: Iterable[Any]) -> list[Any]:
    """Return rows as a list; an array, a Series, a data frame or a named tuple of arrays is a single row.

    Raises:
        TypeError: the rows are not iterable.
    """
    if not isinstance(rows, Iterable):
        raise TypeError(f"{where}: expected Sequences, a list of rows or a single array, got {type(rows).__name__}.")
    if hasattr(rows, "__array__"):
        array = np.asarray(rows)
        holds_rows = array.dtype.kind == "O" and array.ndim == 1 and any(map(np.ndim, array))  # a Series of lists
        return list(rows) if holds_rows else [rows]
    return [rows] if isinstance(rows, tuple) and hasattr(rows, "_fields") else list(rows)


def one_step_rows(where: str, x: Any, columns: bool = False) -> Sequences:
    """Return the inputs of a step, [B, ...], as rows of one step each; arguments as in `as_sequences`."""
    leaves = _row(f"{where}: x", x, columns)
    return Sequences(leaves, one_step_each(len(next(states.leaves(leaves)))))


def _row(where: str, row: Any, columns: bool) -> Any:
    """Return a row as an array, or as a tuple of arrays."""
    if isinstance(row, tuple) and any(np.ndim(leaf) for leaf in states.leaves(row)):
        return states.map(lambda leaf: array_of(where, "steps", leaf), row)
    array = array_of(where, "steps", row)  # a tuple of numbers is an array too
    if not array.ndim:
        raise TypeError(f"{where}: expected an array or a list of steps, got {row!r:.40}; a single row is "
                        "np.asarray(x).")  # fmt: skip
    if columns and array.ndim > 2:
        raise ValueError(f"{where}: expected a row [T] or [T, D], got an array {list(array.shape)}; list(x) makes a "
                         "row of each part.")  # fmt: skip
    if columns and array.ndim == 1 and len(array):
        if isinstance(row, list | tuple):  # in nested lists, these may be the numbers of one step
            raise ValueError(f"{where}: expected steps of D numbers, got a {type(row).__name__} of {len(row)} numbers; "
                             "a series of single numbers is np.asarray(x).")  # fmt: skip
        return array[:, None]
    return array


def array_of(where: str, name: str, values: Any) -> np.ndarray:
    """Return values of any container as a NumPy array, as `elman.arrays.as_array` does, and text as NumPy strings.

    Raises:
        TypeError: they are a generator, a set or a mapping, or masked values are not numbers.
        ValueError: nested lists differ in length.
    """
    if isinstance(values, Iterator | Set | Mapping):
        raise TypeError(f"{where}: expected {name} as an array or a list, got {type(values).__name__}; convert it with "
                        "list(...).")  # fmt: skip
    try:
        array = as_array(values)
    except ValueError:
        raise ValueError(f"{where}: expected {name} as an array, got nested lists of different lengths.") from None
    except TypeError as error:  # masked text
        raise TypeError(f"{where}: {name}: {error}") from None
    is_text = array.dtype.kind == "O" and array.size and all(isinstance(value, str) for value in array.ravel().tolist())
    return array.astype(str) if is_text else array


def floats(where: str, name: str, values: Any) -> np.ndarray:
    """Return real numbers of any container and type as float64: integers and booleans too.

    Raises:
        TypeError: the values are not real numbers.
    Example:
        >>> floats("HMM", "start", [1, 0])
        array([1., 0.])
    """
    array = array_of(where, name, values)
    if array.size and array.dtype.kind not in "biuf":
        raise TypeError(f"{where}: expected {name} of numbers, got {array.dtype}.")
    return array.astype(np.float64, copy=False)


def step_shapes(row: Any) -> str:
    """Describe the shapes of one step."""
    return " and ".join(str(list(leaf.shape[1:])) for leaf in states.leaves(row))


def place(sequences: Sequences, step: int) -> str:
    """Return the place of a step of a batch, such as `row 3, step 7`."""
    return f"row {int(sequences.rows[step])}, step {int(sequences.times[step])}"


def reals(where: str, name: str, array: Any, spec: str, missing: bool = False) -> np.ndarray:
    """Return numbers as float64, checked to be of that shape and finite.

    Args:
        missing: whether NaN is legal.
    Raises:
        TypeError: the values are not real numbers.
        ValueError: the shape is wrong, a number is infinite, or NaN where values must not be missing.
    Example:
        >>> reals("LDS.scan", "values", [[1, 2], [3, np.inf]], "N D=2")
        Traceback (most recent call last):
            ...
        ValueError: LDS.scan: expected values of finite numbers, got inf at [1, 1]; correct the data.
    """
    array = floats(where, name, array)
    check(where, name, array, spec)
    wrong = np.isinf(array) if missing else ~np.isfinite(array)
    if wrong.any():
        place = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
        allowed = "finite numbers, or NaN where one is missing" if missing else "finite numbers"
        raise ValueError(
            f"{where}: expected {name} of {allowed}, got {array[wrong][0]} at [{place}]; correct the data."
        )
    return np.ascontiguousarray(array)


def per_step_reals(
    where: str, name: str, sequences: Sequences, array: Any, spec: str, missing: bool = False
) -> np.ndarray:
    """Return numbers of each step of a batch as float64, [N, ...]; errors name row and step. Arguments as in `reals`.

    Raises:
        TypeError: the values are not real numbers.
        ValueError: the shape is wrong, a number is infinite, or NaN where values must not be missing.
    """
    array = floats(where, name, array)
    check(where, name, array, spec)
    wrong = np.isinf(array) if missing else ~np.isfinite(array)
    if wrong.any():
        step = int(np.argwhere(wrong)[0][0])
        allowed = "finite numbers, or NaN where one is missing" if missing else "finite numbers, none missing"
        raise ValueError(f"{where}: expected {name} of {allowed}, got {array[wrong][0]} in {place(sequences, step)}; "
                         "correct the data.")  # fmt: skip
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
    array = array_of(where, name, array)
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
        TypeError, ValueError: the keys are not integers, are out of range, or are not in ascending order.
    """
    keys = integers(where, name, array, "G", below=below)
    if (np.diff(keys) <= 0).any():
        raise ValueError(f"{where}: expected {name} in ascending order.")
    return keys
