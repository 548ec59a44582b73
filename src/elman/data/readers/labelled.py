"""Labelled rows and their places: the result of every reader."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from elman.data.named_rows import NamedRows, SeriesName, variables_of
from elman.representation import brief_fields


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
