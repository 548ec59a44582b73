"""Rows and labels in the forms that users have: results of readers, lists, arrays, data frames, tensors."""

import sys
import warnings
from collections.abc import Sequence
from numbers import Integral, Number
from typing import Any

import numpy as np

from elman.arrays import as_array, is_masked_array, is_missing
from elman.data.frames import READ_FRAME, frame_array, is_frame, names_of_columns, table_name
from elman.data.named_rows import NamedRows, NamedSeries
from elman.data.readers.captions import Captioned
from elman.data.readers.labelled import Labelled
from elman.data.readers.parallel import Parallel
from elman.errors import RowError, about_row
from elman.sequences import Sequences

KINDS = {"strings": str, "booleans": bool | np.bool_, "integers": Integral, "numbers": Number}


def with_targets(X: Any, y: Any = None) -> tuple[Any, Any]:
    """Return rows and their targets: both parts of a reader's result if `X` is one, unless `y` is given."""
    if isinstance(X, Labelled | Parallel | Captioned):
        rows, targets, _ = X
        return rows, targets if y is None else y
    return X, y


def as_list(where: str, X: Any) -> list[Any]:
    """Return rows of any type as a list, without copying the named rows of a reader.

    Args:
        where: begins the error.
    Raises:
        TypeError: one row or a table is given instead of rows, or no rows.
    """
    X, _ = with_targets(X)
    if isinstance(X, NamedRows):
        return X
    if isinstance(X, str | bytes):
        raise TypeError(f"{where}: expected a list of rows, got one text; put it in a list: [text].")
    if table := table_name(X):
        raise TypeError(f"{where}: expected a list of rows, got {table}; give one of its columns, or make rows of it "
                        f"with {READ_FRAME}.")  # fmt: skip
    try:
        rows = list(X)
    except TypeError:
        raise TypeError(f"{where}: expected a list of rows, got {type(X).__name__}.") from None
    if rows and isinstance(rows[0], tuple) and len(rows[0]) == 2 and is_frame(rows[0][1]):
        raise TypeError(f"{where}: expected a list of rows, got pairs of a name and a data frame, as groupby returns "
                        f"them; give the frame to {READ_FRAME}.")  # fmt: skip
    return rows


def as_rows(where: str, X: Any) -> list[Any]:
    """Return rows as a list, with the names that a reader or data frames give them.

    Each line of an array or a data frame is a row. In a table with a single column of texts, each text is a row. Each
    frame in a list of data frames is a series, whose variables are the columns.

    Args:
        where: begins the errors.
    Raises:
        TypeError, ValueError: one row or a table is given instead of rows, or the rows have no usable type.
    """
    X, _ = with_targets(X)
    if isinstance(X, Sequences):
        return X.to_list()
    if hasattr(X, "toarray"):
        raise TypeError(f"{where}: expected dense rows, got a sparse matrix; give X.toarray().")
    if hasattr(X, "__array__"):
        frame = X if is_frame(X) else None
        X = np.atleast_1d(as_array(X))
        if X.dtype.kind == "c":
            raise ValueError(f"{where}: expected real numbers, got {X.dtype}. Complex data not supported.")
        if X.ndim == 2 and X.shape[1] == 1 and X.dtype.kind in "OUT" and all(isinstance(text, str) for text in X[:, 0]):
            X = X[:, 0]
        elif frame is not None:
            return _lines(where, frame)
    rows = as_list(where, X)
    if rows and all(map(is_frame, rows)):
        return _series(rows)
    if rows and isinstance(rows[0], Number | np.bool_):
        raise ValueError(f"{where}: expected rows, got single numbers. Reshape your data: [x] is one row, and "
                         "x.reshape(-1, 1) has a row for each number.")  # fmt: skip
    return rows


def one_row(where: str, row: Any) -> list[Any]:
    """Return a row as a list of rows. The result of a reader has one row.

    Raises:
        ValueError: the result of a reader has several rows, or none.
    """
    rows, _ = with_targets(row)
    if rows is row and not isinstance(row, NamedRows):
        return [row]
    if len(rows) != 1:
        raise ValueError(f"{where}: expected one row, got {len(rows)}; give one of them, such as rows.inputs[0].")
    found: list[Any] = rows
    return found


def _lines(where: str, frame: Any) -> list[Any]:
    """Return the lines of a data frame of numbers as rows, each a series of one variable."""
    try:
        lines = frame_array(frame, f"give one column of texts, or make rows of the frame with {READ_FRAME}")
        columns = names_of_columns(frame)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return NamedRows(lines, columns=columns)


def _series(frames: Sequence[Any]) -> list[Any]:
    """Return data frames as series [T, D], whose variables have the names of the columns."""
    rows: list[Any] = []
    for number, frame in enumerate(frames):
        with about_row(number):
            array = frame_array(frame, f"select columns of numbers (frame[[COLUMN, ...]]), or use {READ_FRAME}")
            rows.append(NamedSeries(array, names_of_columns(frame)))
    return rows


def as_labels(where: str, y: Any, rows: int) -> np.ndarray:
    """Return labels as an array [B] of strings, integers or booleans. Whole numbers of any type become integers.

    Args:
        where: begins the errors.
        rows: how many labels are expected.
    Raises:
        ValueError: there are more or fewer labels; they are missing, of several kinds, or continuous.
    """
    if y is None:
        raise ValueError(f"{where}: requires y to be passed, but the target y is None; give a label for each row.")
    # NumPy silently converts a list of strings and numbers to strings.
    labels = np.array(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)
    if is_masked_array(y) and np.ma.is_masked(y):
        raise ValueError(f"{where}: expected a label for each row, got masked labels; leave their rows out.")
    if labels.ndim == 2 and labels.shape[1] == 1:
        kind = getattr(sys.modules.get("sklearn.exceptions"), "DataConversionWarning", UserWarning)
        warnings.warn("A column-vector y was passed when a 1d array was expected; give y.ravel().", kind, stacklevel=4)
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != rows:
        got = list(labels.shape)
        raise ValueError(f"{where}: expected a label for each of {rows} rows, got labels of shape {got}.")
    if labels.dtype.kind in "OTf":
        missing = [row for row, label in enumerate(labels.tolist()) if is_missing(label)]
        if missing:
            raise RowError(missing[0], f"expected a label, got {labels[missing[0]]}; leave the row out.")
    if labels.dtype.kind in "OT":
        labels = _of_one_kind(where, labels.tolist())
    if labels.dtype.kind == "f":
        odd = labels[~(np.abs(labels) < 2**63) | (labels != np.trunc(labels))]
        if len(odd):
            raise ValueError(f"{where}: expected classes, got the number {odd[0]}. Unknown label type: continuous; "
                             "give strings or integers.")  # fmt: skip
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "Uiub":
        raise ValueError(f"{where}: expected labels of strings or integers, got {labels.dtype}.")
    return labels


def label_numbers(
    rows: Sequence[Sequence[Any]],
    known: Sequence[Any],
    noun: str,
    shown: Sequence[Sequence[Any]] | None = None,
) -> np.ndarray:
    """Return the number of each label among the known ones, int64, of all rows together.

    Args:
        rows: labels of each row.
        known: labels of the training rows.
        noun: `class` of a row or `tag` of a step, for the error.
        shown: the labels as the error shows them; None for `rows`.
    Raises:
        RowError: a label is unknown.
    """
    numbers, found = {label: number for number, label in enumerate(known)}, []
    for row, (labels, names) in enumerate(zip(rows, shown or rows, strict=True)):
        for step, (label, name) in enumerate(zip(labels, names, strict=True)):
            if label not in numbers:
                message = f"the training rows do not have the {noun} {name!r}; add one that has, or leave this row out."
                raise RowError(row, message, step=step if noun == "tag" else None)
            found.append(numbers[label])
    return np.array(found, np.int64)


def _of_one_kind(where: str, labels: Sequence[Any]) -> np.ndarray:
    """Return an array of Python values that are all strings, all booleans or all numbers."""
    kinds = {next((kind for kind, types in KINDS.items() if isinstance(label, types)), "") for label in labels}
    if "" in kinds or (len(kinds) > 1 and kinds != {"integers", "numbers"}):
        types = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise ValueError(f"{where}: expected labels of one kind, got {types}; give strings or integers.")
    return np.array(labels) if labels else np.zeros(0, np.int64)
