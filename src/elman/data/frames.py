"""Data frames of pandas, polars or pyarrow that are given as rows; none of these packages is imported."""

from collections import Counter
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np

from elman.arrays import as_array
from elman.declared_types import shown

READ_FRAME = "elman.data.readers.read_frame(frame, values=[COLUMN, ...], group=COLUMN, label=COLUMN)"
SHOWN = 8  # most columns that an error lists


def is_frame(value: Any) -> bool:
    """Return whether a value is a data frame in memory."""
    return hasattr(value, "__array__") and (hasattr(value, "columns") or hasattr(value, "column_names"))


def frame_columns(frame: Any) -> list[Any]:
    """Return the names of the columns of a data frame."""
    return list(frame.column_names if hasattr(frame, "column_names") else frame.columns)


def names_of_columns(frame: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a data frame; None if all are numbers, as pandas gives to arrays.

    Raises:
        ValueError: two columns have the same name.
    """
    columns = frame_columns(frame)
    if not columns or all(isinstance(name, Integral) for name in columns):
        return None
    names = tuple(str(name) for name in columns)
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise ValueError(f"expected columns of different names, got {shown(twice[0])} twice; rename one of them.")
    return names


def frame_array(frame: Any, way_out: str) -> np.ndarray:
    """Return a data frame of numbers as float64 [T, D], with NaN where a value is missing.

    Args:
        way_out: ends the error.
    Raises:
        ValueError: a column has no numbers.
    """
    array = as_array(frame)
    try:
        if array.dtype.kind in "Mm":
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        odd = next((name for number, name in enumerate(frame_columns(frame)) if not _numbers(array[:, number])), "")
        raise ValueError(f"expected numbers in all columns of the data frame, got {type_name(frame)} with other values "
                         f"in the column {odd!r}; {way_out}.") from None  # fmt: skip


def type_name(value: Any) -> str:
    """Return the package and the type of a value: `pandas.DataFrame`."""
    package = type(value).__module__.partition(".")[0]
    return type(value).__name__ if package == "builtins" else f"{package}.{type(value).__name__}"


def table_name(value: Any) -> str | None:
    """Return a few words about a table in memory, such as a data frame with its columns; None for anything else."""
    if isinstance(value, Mapping):
        columns = list(value)
    elif is_frame(value) or (hasattr(value, "collect") and hasattr(type(value), "columns")):  # LazyFrame
        columns = [] if hasattr(value, "collect") else frame_columns(value)
    else:
        return None
    listed = ", ".join(map(str, columns[:SHOWN])) + ("" if len(columns) <= SHOWN else ", ...")
    return type_name(value) + (f" with the columns {listed}" if columns else "")


def _numbers(column: np.ndarray) -> bool:
    try:
        column.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return column.dtype.kind not in "Mm"
