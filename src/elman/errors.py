"""Errors about one row of the data, with the row number as an attribute."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class RowError(ValueError):
    """Error in one row of the data. It prints as `row 3: message`, or `machine m17: message` for a row with a name.

    Args:
        row: number of the row, from 0.
        message: the error, without the row.
        kind: type of the row: `row`, or `validation row`.
        name: name of the row, if it has one.
    """

    def __init__(self, row: int, message: str, kind: str = "row", name: str = ""):
        super().__init__(row, message, kind, name)
        self.row, self.message, self.kind, self.name = int(row), message, kind, name

    def __str__(self) -> str:
        return f"{self.name or f'{self.kind} {self.row}'}: {self.message}"


class RowTypeError(RowError, TypeError):
    """Value of a wrong type in one row of the data."""


@contextmanager
def about_row(row: int) -> Iterator[None]:
    """Re-raise errors with this row number and the same message."""
    try:
        yield
    except RowError:
        raise
    except (TypeError, ValueError) as error:
        kind = RowTypeError if isinstance(error, TypeError) else RowError
        raise kind(row, str(error)) from error


@contextmanager
def renumbered(rows: Sequence[int]) -> Iterator[None]:
    """Re-raise errors about row `i` of a batch as errors about row `rows[i]` of the caller's data."""
    try:
        yield
    except RowError as error:
        raise type(error)(rows[error.row], error.message, error.kind) from error


@contextmanager
def counted_as(kind: str) -> Iterator[None]:
    """Re-raise errors about a row as errors about a row of another kind, such as `validation row`."""
    try:
        yield
    except RowError as error:
        raise type(error)(error.row, error.message, kind) from error


@contextmanager
def named(names: Sequence[object] | None, kind: str = "row") -> Iterator[None]:
    """Re-raise errors about a row of this kind with its name.

    Args:
        names: name of each row; None for rows without names.
    """
    try:
        yield
    except RowError as error:
        if names is None or error.kind != kind:
            raise
        name = f"{kind.removesuffix('row')}{names[error.row]}"
        raise type(error)(error.row, error.message, kind, name) from error


@contextmanager
def located(places: Sequence[str], kind: str = "row") -> Iterator[None]:
    """Re-raise errors about a row of this kind with its place in a file, such as `train.tsv:12`.

    Args:
        places: place of each row.
    Raises:
        ValueError: a row has a wrong value, or a value of a wrong type.
    """
    try:
        yield
    except RowError as error:
        if error.kind != kind:
            raise
        raise ValueError(f"{places[error.row]}: {error.message}") from error
