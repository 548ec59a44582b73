"""Names that rows carry: of series in their table, and of the variables of a series."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np


class SeriesName(NamedTuple):
    """Name of a series in a table: the column that names it, and its value there. It prints as `machine m17`."""

    column: str
    value: Any

    def __str__(self) -> str:
        return f"{self.column} {self.value}"


class NamedSeries(np.ndarray):
    """Series, float64 [T, D], whose variables have names. Copies, conversions of the type and selections of steps keep
    the names; other results have none.

    Attributes:
        variables: D names; None where they are unknown.
    """

    variables: tuple[str, ...] | None

    def __new__(cls, values: np.ndarray, variables: tuple[str, ...] | None) -> "NamedSeries":
        self = np.asarray(values).view(cls)
        self.variables = variables
        return self

    def __array_finalize__(self, array: Any) -> None:
        self.variables = None

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if isinstance(found, NamedSeries) and self._has_all_variables(index):
            found.variables = self.variables
        return found

    def _has_all_variables(self, index: Any) -> bool:
        """Return whether the last axis of `self[index]` still holds all variables, in their order."""
        parts = [part for part in (index if isinstance(index, tuple) else (index,)) if part is not None]
        if any(part is Ellipsis or np.ndim(part) > 1 for part in parts):
            return False
        return len(parts) < self.ndim or (isinstance(parts[-1], slice) and parts[-1] == slice(None))

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        return NamedSeries(np.asarray(self).astype(dtype, *args, **options), self.variables)

    def __copy__(self) -> "NamedSeries":
        return NamedSeries(np.array(self), self.variables)

    def __deepcopy__(self, memo: Any) -> "NamedSeries":
        return self.__copy__()

    def copy(self, order: Any = "C") -> "NamedSeries":
        return NamedSeries(np.array(self, order=order), self.variables)

    def __reduce__(self) -> Any:
        return NamedSeries, (np.asarray(self), self.variables)


def variables_of(row: Any) -> tuple[str, ...] | None:
    """Return the names of the variables of a row, or None if they have none."""
    return row.variables if isinstance(row, NamedSeries) else None


class NamedRows(list[Any]):
    """List of rows that keeps the names in the table that they were read from. Slices keep them as well.

    Args:
        names: name of each row, which errors show in place of its number; None for rows without names.
        columns: columns of the data frame whose lines are the rows; None for rows that were read in another way.
    """

    def __init__(
        self, rows: Iterable[Any], names: Sequence[SeriesName] | None = None, columns: tuple[str, ...] | None = None
    ):
        super().__init__(rows)
        self.names, self.columns = names, columns

    def __getitem__(self, index: Any) -> Any:
        return self.select(range(len(self))[index]) if isinstance(index, slice) else super().__getitem__(index)

    def select(self, rows: Iterable[int]) -> "NamedRows":
        """Return some of the rows, with their names."""
        numbers = list(rows)
        names = None if self.names is None else [self.names[row] for row in numbers]
        return NamedRows([self[row] for row in numbers], names, self.columns)
