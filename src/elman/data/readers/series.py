"""Series in long form: a line of a table is one time step of a series."""

import logging
from array import array
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from elman.data.named_rows import SeriesName
from elman.data.readers.fields import is_missing
from elman.data.readers.labelled import Table
from elman.data.readers.times import Time, as_time

logger = logging.getLogger("elman")


class TimeColumn:
    """Reader of the times in a column, all of one kind."""

    def __init__(self, name: str | None):
        self.name = name
        self.first: tuple[Time, str] | None = None  # with its place

    def read(self, place: str, value: Any) -> Time:
        """Return a field as a time.

        Raises:
            ValueError: the field is missing, is not a time, or is a time of another kind than the first.
        """
        if is_missing(value):
            raise ValueError(
                f"{place}: expected a time in {self.name!r}, found none; fill it in, or leave the line out."
            )
        try:
            time = as_time(value)
        except ValueError as error:
            raise ValueError(f"{place}: {self.name!r}: {error}.") from None
        self.first = self.first or (time, place)
        first, where = self.first
        if time.kind != first.kind:
            raise ValueError(f"{place}: expected {first.kind} in {self.name!r} as in {where}, got {value!r}.")
        return time


class Duplicate(NamedTuple):
    """Two lines of a series with the same time."""

    name: SeriesName | None
    time: Any
    numbers: tuple[int, int]


class Series:
    """Lines of one series, in the order in which they are read.

    Args:
        name: its name; None for the only series of a table.
        number: number of its first line.
        label: its label, or None.
    """

    def __init__(self, name: SeriesName | None, number: int, label: Any):
        self.name, self.number, self.label = name, number, label
        self.values = array("d")  # of all steps, concatenated
        self.times: list[tuple[Time, int, Any]] = []  # with the number of the line, and the time as it is written

    def steps(self, size: int) -> np.ndarray:
        """Return the steps as an array [T, size], sorted by time if there are times; a view if they are in order."""
        values = np.frombuffer(self.values).reshape(-1, size)
        order = sorted(range(len(self.times)), key=lambda step: self.times[step][0].value)  # stable
        return values[order] if order != sorted(order) else values

    def duplicates(self) -> list[Duplicate]:
        """Return the lines that have the time of another line of the series."""
        found: dict[int | float, int] = {}
        return [Duplicate(self.name, written, (found[time.value], number))
                for time, number, written in self.times if found.setdefault(time.value, number) != number]  # fmt: skip


def warn_of_duplicates(table: Table, series: Iterable[Series]) -> None:
    """Log a warning if lines of a series have the same time."""
    found = [duplicate for one in series for duplicate in one.duplicates()]
    if found:
        name, time, numbers = found[0]
        whose = "" if name is None else f"{name} "
        more = f" (the first of {len(found):,} repeated times)" if len(found) > 1 else ""
        first, second = map(table.place, numbers)
        logger.warning("%s: %srepeats the time %s of %s%s; steps of the same time keep the order of their lines",
                       second, whose, time, first, more)  # fmt: skip
