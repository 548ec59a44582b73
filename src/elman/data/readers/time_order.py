"""Warning about series whose lines are not in the order of a column that looks like their time."""

import logging
import re
from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.data.named_rows import SeriesName
from elman.data.readers.fields import is_missing
from elman.data.readers.labelled import Table
from elman.data.readers.times import as_time

TIMES = {"time", "date", "datetime", "timestamp", "ts", "t", "step", "tick", "frame", "cycle", "hour", "minute",
         "second", "day", "week", "month", "year"}  # fmt: skip
QUALIFIERS = {"s", "ms", "us", "ns", "sec", "min", "h", "utc", "local", "unix", "iso", "event", "start", "end",
              "sample", "record", "recorded", "measurement", "measured", "log", "logged", "elapsed", "sim", "index",
              "id", "no", "number"}  # fmt: skip
UNNAMED = 8  # first columns of a table that are examined whatever their names
GROUPS = 5  # least number of series that show whether a column without such a name is a time
IN_ORDER = 0.9  # share of the series in which such a column increases
DISTINCT = 0.9  # share of different values of a time: an hour of the day repeats

logger = logging.getLogger("elman")


def looks_like_time(name: str) -> bool:
    """Return whether the name of a column is that of a time.

    Example:
        >>> names = "time", "Start_Time", "eventDate", "t", "time_ms", "reaction_time"
        >>> [name for name in names if looks_like_time(name)]
        ['time', 'Start_Time', 'eventDate', 't', 'time_ms']
    """
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    words = [word if word in TIMES | QUALIFIERS else word.removesuffix("s") for word in words]
    return bool(TIMES.intersection(words)) and TIMES.union(QUALIFIERS).issuperset(words)


class Backwards(NamedTuple):
    """Column that looks like the time of series, and runs backwards in some of them."""

    column: str
    group: str  # the first such series
    numbers: tuple[int, int]  # two of its lines: the later line has the earlier time
    groups: int  # number of series that run backwards


class TimeOrder:
    """Columns that may be the time of series, observed while the lines of a table are read.

    Args:
        names: names of the columns.
    """

    def __init__(self, names: Sequence[str]):
        self.names = names
        self.open = {name: _Column(looks_like_time(name)) for name in names}

    def observe(self, group: str, number: int, fields: Sequence[Any]) -> None:
        """Read the fields of the next line of a group.

        Args:
            number: number of the line.
            fields: its fields in `names`.
        """
        for name, field in zip(self.names, fields, strict=True):
            if (column := self.open.get(name)) is not None and not column.add(group, number, field):
                del self.open[name]

    def backwards(self) -> Backwards | None:
        """Return the first column that looks like a time and runs backwards, or None."""
        named = {name: column for name, column in self.open.items() if column.named and column.distinct()}
        if any(column.in_order() for column in named.values()):
            return None
        others = {name: column for name, column in self.open.items() if not column.named and column.mostly_in_order()}
        for name, column in {**named, **others}.items():
            if column.back:
                group, numbers = next(iter(column.back.items()))
                return Backwards(name, group, numbers, len(column.back))
        return None


def warn_of_order(table: Table, back: Backwards, name: SeriesName | None) -> None:
    """Log a warning that the lines of a series are not in the order of a column.

    Args:
        name: name of the series in which it is seen.
    """
    whose = "" if name is None else f" in {name}"
    more = f", as in {back.groups - 1:,} other series" if back.groups > 1 else ""
    earlier, later = map(table.place, back.numbers)
    logger.warning("%s: %r runs backwards%s, from %s%s; steps keep the order of their lines; to sort them by this "
                   "column, set time=%r (--time %s)", later, back.column, whose, earlier, more, back.column,
                   back.column)  # fmt: skip


class _Column:
    """Values of a column that may be a time."""

    def __init__(self, named: bool):
        self.named = named
        self.kind = ""
        self.values: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self.last: dict[str, tuple[float, int]] = {}  # by group: value and number of the last line
        self.back: dict[str, tuple[int, int]] = {}  # by group: numbers of the first line that runs backwards

    def add(self, group: str, number: int, field: Any) -> bool:
        """Read a field, and return whether the column may still be a time."""
        if is_missing(field):
            return True
        try:
            kind, value = as_time(field)
        except ValueError:
            return False
        self.kind = self.kind or kind
        if group in self.last and value < self.last[group][0]:
            self.back.setdefault(group, (self.last[group][1], number))
        self.last[group] = value, number
        self.values[group].append(value)
        return kind == self.kind and (self.named or len(self.back) <= max(GROUPS, (1 - IN_ORDER) * 3 * len(self.last)))

    def distinct(self) -> bool:
        total, different = np.sum(
            [[len(values), len(np.unique(values))] for values in self.values.values()] or [[0, 0]], 0
        )
        return bool(different >= DISTINCT * total)

    def in_order(self) -> bool:
        """Return whether it increases in every group that has several values."""
        return not self.back and any(len(values) > 1 for values in self.values.values())

    def mostly_in_order(self) -> bool:
        """Return whether it increases in almost all groups."""
        groups = [group for group, values in self.values.items() if len(values) > 2]
        increasing = sum(group not in self.back and self.values[group][-1] > self.values[group][0] for group in groups)
        return len(groups) >= GROUPS and self.distinct() and increasing >= IN_ORDER * len(groups)
