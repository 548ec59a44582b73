"""Labelled rows and their places: the result of every reader."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from elman.representation import brief_fields


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


def names_of(rows: Any) -> Sequence[SeriesName] | None:
    """Return the names of rows, or None if they have none."""
    if isinstance(rows, Labelled):
        rows = rows.inputs
    return rows.names if isinstance(rows, NamedRows) else None


@brief_fields
class Labelled(NamedTuple):
    """Inputs, labels and places of B rows.

    A place is `reviews.tsv:12` (lines count from 1), `train.npz:case 3` (cases of arrays count from 0), the name of a
    file that holds one row, `row 3` of a data frame (from 0), or `machines.csv: machine m17` and `machine m17` for a
    series that a column names.
    """

    inputs: list[Any]  # str | words, or tuples of columns | array [T, ...] | uint8 [T, H, W(, 3)] | uint8 [H, W(, 3)]
    labels: list[Any] | None  # str, or a list of tags for tagged words; None for unlabelled data
    places: list[str]

    @property
    def names(self) -> list[Any] | None:
        """Names of the series, of the type of their column, in the order of the rows; None for rows without names."""
        names = names_of(self.inputs)
        return None if names is None else [name.value for name in names]

    @property
    def variables(self) -> list[str] | None:
        """Names of the variables of the series; None for rows without them."""
        variables = variables_of(self.inputs[0]) if self.inputs else None
        return None if variables is None else list(variables)


@brief_fields
class Row(NamedTuple):
    """One row of a reader."""

    input: Any
    label: Any  # None for an unlabelled row
    place: str
    name: SeriesName | None = None


class Table(NamedTuple):
    """Table whose records are read; it names their places.

    Args:
        file: None for a data frame.
        unit: kind of the number of a record: `row ` for a data frame or Parquet, empty for lines.
    """

    file: Path | None
    unit: str = ""

    def place(self, number: int | str) -> str:
        """Return the place of a record; for an empty number, how all of them begin."""
        return f"{self.unit}{number}" if self.file is None else f"{self.file}:{self.unit}{number}"

    def place_of(self, name: SeriesName) -> str:
        """Return the place of a series."""
        return str(name) if self.file is None else f"{self.file}: {name}"


def gather(rows: Iterable[Row]) -> Labelled:
    """Collect rows, and check that they agree.

    Raises:
        ValueError: some rows have labels and others do not, or the steps of an array have another shape than those of
            the first.
    """
    inputs: list[Any] = []
    labels: list[Any] = []
    places: list[str] = []
    names: list[SeriesName] = []
    for value, label, place, name in rows:
        if inputs and (label is None) != (labels[0] is None):
            has, has_not = (places[0], place) if label is None else (place, places[0])
            raise ValueError(f"{has_not}: has no label, but {has} has one; read them separately.")
        if inputs and _step(value) != _step(inputs[0]):
            raise ValueError(
                f"{place}: expected {_kind(inputs[0])} as in {places[0]}, got {_kind(value)}; read them separately."
            )
        inputs.append(value)
        labels.append(label)
        places.append(place)
        if name is not None:
            names.append(name)
    if names and len(names) == len(inputs):
        inputs = NamedRows(inputs, names)
    return Labelled(inputs, None if None in labels[:1] else labels, places)


def at_least_one(where: object, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of a file, and check that there is at least one.

    Raises:
        ValueError: there are no rows.
    """
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise ValueError(f"{where}: expected rows, found none.")


def _step(value: Any) -> Any:
    """Return the property that all rows of a data set share: the shape of a step, or the type."""
    return value.shape[1:] if isinstance(value, np.ndarray) else type(value)


def _kind(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return "text" if isinstance(value, str) else "words"
    return f"an array [{', '.join(['T', *map(str, value.shape[1:])])}]"
