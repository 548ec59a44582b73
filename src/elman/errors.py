"""Errors about one row of the data, with the row number as an attribute; errors about memory."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self


class StepError(ValueError):
    """Error at one step of a row. It prints as `check_tags: step 1: message`."""

    def __init__(self, where: str, step: int, message: str):
        super().__init__(where, step, message)
        self.where, self.step, self.message = where, step, message

    def __str__(self) -> str:
        return f"{self.where}: step {self.step}: {self.message}"


class LinesPlace(str):
    """Place of a row whose steps are lines of a file, such as the words of a sentence: that of its first line.

    Args:
        file: name of the file.
        numbers: number of the line of each step.
    """

    def __new__(cls, file: object, numbers: Sequence[int]) -> Self:
        self = super().__new__(cls, f"{file}:{numbers[0]}")
        self.file, self.numbers = file, numbers
        return self

    file: object
    numbers: Sequence[int]

    def of_step(self, step: int) -> str:
        """Return the place of a step; the end of the row is at its last step."""
        return f"{self.file}:{self.numbers[min(step, len(self.numbers) - 1)]}"


class RowError(ValueError):
    """Error in one row of the data. It prints as `row 3: message`, or `machine m17: message` for a row with a name.

    Args:
        row: number of the row, from 0.
        message: the error, without the row.
        kind: type of the row: `row`, or `validation row`.
        name: name of the row, if it has one.
        step: the step of the row that the error is about; None for the whole row.
    """

    def __init__(self, row: int, message: str, kind: str = "row", name: str = "", step: int | None = None):
        super().__init__(row, message, kind, name, step)
        self.row, self.message, self.kind, self.name, self.step = int(row), message, kind, name, step

    def __str__(self) -> str:
        step = "" if self.step is None else f", step {self.step}"
        return f"{self.name or f'{self.kind} {self.row}'}{step}: {self.message}"

    def changed(self, **parts: Any) -> Self:
        """Return the same error with other parts."""
        names = ("row", "message", "kind", "name", "step")
        return type(self)(**{name: getattr(self, name) for name in names} | parts)

    def at(self, place: str) -> str:
        """Return the error of a row, or of its step, at this place; a message that begins with it stays as it is."""
        if self.message.startswith(f"{place}: "):
            return self.message
        if self.step is not None:
            place = place.of_step(self.step) if isinstance(place, LinesPlace) else f"{place}: step {self.step}"
        return f"{place}: {self.message}"


class RowTypeError(RowError, TypeError):
    """Value of a wrong type in one row of the data."""


class RowFileError(RowError, OSError):
    """Error about the file of one row of the data, which cannot be read."""


@contextmanager
def about_row(row: int) -> Iterator[None]:
    """Re-raise errors with this row number and the same message."""
    try:
        yield
    except RowError:
        raise
    except (TypeError, ValueError, OverflowError, OSError) as error:  # OverflowError: an integer beyond all floats
        if isinstance(error, StepError):
            raise RowError(row, error.message, step=error.step) from error
        kinds = {TypeError: RowTypeError, OSError: RowFileError}
        kind = next((kinds[base] for base in kinds if isinstance(error, base)), RowError)
        raise kind(row, str(error)) from error


@contextmanager
def renumbered(rows: Sequence[int]) -> Iterator[None]:
    """Re-raise errors about row `i` of a batch as errors about row `rows[i]` of the caller's data."""
    try:
        yield
    except RowError as error:
        raise error.changed(row=rows[error.row]) from error


@contextmanager
def counted_as(kind: str) -> Iterator[None]:
    """Re-raise errors about a row as errors about a row of another kind, such as `validation row`."""
    try:
        yield
    except RowError as error:
        raise error.changed(kind=kind) from error


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
        raise error.changed(name=f"{kind.removesuffix('row')}{names[error.row]}") from error


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
        raise ValueError(error.at(places[error.row])) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error reports too little memory; in PyTorch, that is a RuntimeError about an array."""
    pytorch = r"can't allocate memory|not enough memory|out of memory|Storage size calculation overflowed"
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(re.search(pytorch, str(error))))
