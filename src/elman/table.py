"""Table of named columns, which needs no pandas."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from elman.html_tables import html_table
from elman.optional_packages import needed_by
from elman.representation import call, complete, counted


class Table:
    """Named columns with a value per row.

    `table["name"]` is a column, and iteration yields the rows as dictionaries of Python values.

    Args:
        columns: values [R] by name, all of one length. Text becomes an array of Python strings.
    Example:
        >>> table = Table({"word": ["a", "cat"], "surprisal": [1.5, 4.0]})
        >>> float(table["surprisal"].mean()), list(table)[1]
        (2.75, {'word': 'cat', 'surprisal': 4.0})
    """

    def __init__(self, columns: Mapping[str, Any]):
        self.columns = {name: _array(column) for name, column in columns.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        values = (column.tolist() for column in self.columns.values())
        return (dict(zip(self.columns, row, strict=True)) for row in zip(*values, strict=True))

    def to_pandas(self) -> Any:
        """Return the table as a pandas DataFrame.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        with needed_by("to_pandas"):
            pandas = import_module("pandas")  # untyped
        return pandas.DataFrame(self.columns)

    @complete
    def __repr__(self) -> str:
        return call(type(self).__name__, f"{counted(len(self), 'row')} of {', '.join(self.columns)}")

    @complete
    def _repr_html_(self) -> str:
        rows = (row.values() for row in self)
        return html_table(repr(self), ([number, *map(_shown, row)] for number, row in enumerate(rows)),
                          ["", *self.columns], len(self))  # fmt: skip


def _array(column: Any) -> np.ndarray:
    is_text = not isinstance(column, np.ndarray) and len(column) > 0 and isinstance(column[0], str | bytes)
    return np.array(column, object) if is_text else np.asarray(column)  # NumPy pads its own strings to the longest one


def _shown(value: Any) -> Any:
    return value.replace("\n", "\\n") if isinstance(value, str) else value
