"""Columns of a table, and the rows made of them: texts, or series in long form, with one time step per line."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from elman.data.label_text import label_value
from elman.data.named_rows import NamedSeries, SeriesName
from elman.data.readers.fields import as_number, as_numbers, as_word, is_missing
from elman.data.readers.labelled import Row, Table
from elman.data.readers.series import Series, TimeColumn, warn_of_duplicates
from elman.data.readers.time_order import UNNAMED, TimeOrder, looks_like_time, warn_of_order
from elman.nearest import did_you_mean

Column = str | int  # a name, or a number from 1 in a table without a header
SHOWN = 20  # most columns that an error lists


@dataclass(frozen=True)
class Columns:
    """Columns to read: one of texts, or those of the variables of series."""

    text: str | None
    label: str | None
    values: tuple[str, ...]
    group: str | None
    time: str | None = None
    typed: bool = False  # whether labels and names keep their type; they are text otherwise
    warned: list[str] = field(default_factory=list, compare=False)  # columns that a warning has named

    @classmethod
    def chosen(
        cls,
        text: Column | None,
        label: Column | None,
        values: Column | Iterable[Column],
        group: Column | None,
        time: Column | None = None,
        typed: bool = False,
    ) -> "Columns":
        """Return checked columns.

        Raises:
            ValueError: text and values are both given or both missing, texts have a group or a time, or a column is
                given twice.
        """
        names = (values,) if isinstance(values, str | int) else values
        columns = cls(_name(text), _name(label), tuple(map(str, names)), _name(group), _name(time), typed)
        if (columns.text is None) == (not columns.values):
            got = "neither" if columns.text is None else "both"
            raise ValueError(f"expected text (a column) or values (columns of numbers), got {got}.")
        if columns.text is not None and columns.group is not None:
            raise ValueError(f"group={columns.group!r}: has no effect on texts; it names the series of values.")
        if columns.text is not None and columns.time is not None:
            raise ValueError(f"time={columns.time!r}: has no effect on texts; it sorts the steps of series.")
        given = columns.names[:-1] if columns.time in columns.values else columns.names  # a time may be a variable too
        if twice := [name for name in given if given.count(name) > 1]:
            raise ValueError(f"expected different columns, got {twice[0]!r} twice.")
        return columns

    @property
    def names(self) -> list[str]:
        """Names of the columns, in the order in which `rows` expects the fields."""
        inputs = self.values if self.text is None else (self.text,)
        return [*inputs, *(name for name in (self.label, self.group, self.time) if name is not None)]

    @property
    def variables(self) -> tuple[str, ...] | None:
        """Names of the variables; None for the numbers of columns without a header."""
        return None if all(name.isdecimal() for name in self.values) else self.values

    def watched(self, known: Sequence[str]) -> list[str]:
        """Return the columns of a table that may be the time of its series, if `time` does not name it."""
        if self.text is not None or self.time is not None:
            return []
        named = [name for name in known if looks_like_time(name)]
        others = [] if self.group is None else [name for name in known[:UNNAMED] if name not in (*named, *self.values)]
        return [name for name in [*named, *others] if name not in (self.label, self.group) and known.count(name) == 1]

    def rows(
        self, table: Table, records: Iterable[tuple[int, Sequence[Any]]], watched: Sequence[str] = ()
    ) -> Iterator[Row]:
        """Yield the rows of a table.

        Args:
            records: number of each record, and its fields of the columns `names`, then of the columns `watched`.
            watched: columns that may be the time of the series.
        Raises:
            ValueError: a text, a label or a time is missing, a value is not a number, or a series has two labels.
        """
        return self._texts(table, records) if self.text is not None else self._series(table, records, watched)

    def _texts(self, table: Table, records: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[Row]:
        for number, fields in records:
            place = table.place(number)
            if not isinstance(fields[0], str):
                got = "none; an empty text is ''" if is_missing(fields[0]) else type(fields[0]).__name__
                raise ValueError(f"{place}: expected text in {self.text!r}, got {got}.")
            yield Row(fields[0], None if self.label is None else self._typed(place, self.label, fields[1]), place)

    def _typed(self, place: str, column: str, value: Any) -> Any:
        """Return a label or a name, in its own type or as text."""
        word = as_word(place, column, value)
        return label_value(value) if self.typed else word

    def _series(
        self, table: Table, records: Iterable[tuple[int, Sequence[Any]]], watched: Sequence[str]
    ) -> Iterator[Row]:
        found: dict[str, Series] = {}
        order, clock, width = TimeOrder(watched), TimeColumn(self.time), len(self.names)
        prefix = table.place("")
        for number, fields in records:
            place = f"{prefix}{number}"
            key, series = self._series_of(found, table, number, fields, place)
            series.values.extend(self._steps(place, fields))
            if self.time is not None:
                series.times.append((clock.read(place, fields[width - 1]), number, fields[width - 1]))
            if watched:
                order.observe(key, number, fields[width:])
        warn_of_duplicates(table, found.values())
        if not self.warned and (back := order.backwards()):
            self.warned.append(back.column)
            warn_of_order(table, back, found[back.group].name)
        for series in found.values():
            place = table.place(series.number) if series.name is None else table.place_of(series.name)
            steps = NamedSeries(series.steps(len(self.values)), self.variables)
            yield Row(steps, series.label, place, series.name)

    def _series_of(
        self, found: dict[str, Series], table: Table, number: int, fields: Sequence[Any], place: str
    ) -> tuple[str, Series]:
        """Return the key and the series that a record belongs to; a new series is added to `found`."""
        rest = iter(fields[len(self.values) :])
        label = None if self.label is None else self._typed(place, self.label, next(rest))
        value = "" if self.group is None else next(rest)
        key = "" if self.group is None else as_word(place, self.group, value)
        series = found.get(key)
        if series is None:
            name = None if self.group is None else SeriesName(self.group, self._typed(place, self.group, value))
            series = found[key] = Series(name, number, label)
        if series.label != label:
            whose = series.name or "a file is one series unless group is set"
            raise ValueError(f"{place}: expected the label {series.label!r} of {table.place(series.number)} ({whose}), "
                             f"got {label!r}.")  # fmt: skip
        return key, series

    def _steps(self, place: str, fields: Sequence[Any]) -> list[float]:
        """Return the values of a record."""
        try:
            steps = as_numbers(fields[: len(self.values)])
            if math.isfinite(sum(steps)):
                return steps
        except (TypeError, ValueError, OverflowError):
            pass
        return [as_number(place, *pair) for pair in zip(self.values, fields, strict=False)]


def missing_column(where: object, name: str, known: Iterable[str], way_out: str = "") -> ValueError:
    """Return the error for a missing column, with a list of the existing ones."""
    names = list(known)
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and set(parts) <= set(names):
        return ValueError(f"{where}: no column {name!r}; several columns are a list: {parts}.")
    listed = ", ".join(each if len(each) <= 40 else each[:40] + "..." for each in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ValueError(f"{where}: no column {name!r}{did_you_mean(name, names)} There are: {listed}{more}{way_out}.")


def positions(where: object, names: Iterable[str], known: Sequence[str], way_out: str = "") -> list[int]:
    """Return the positions of the named columns among the columns of a table.

    Raises:
        ValueError: a column is missing, or several have its name.
    """
    for name in names:
        if name not in known:
            raise missing_column(where, name, known, way_out)
        if known.count(name) > 1:
            raise ValueError(f"{where}: expected one column {name!r}, found {known.count(name)}; rename them.")
    return [known.index(name) for name in names]


def from_mapping(record: Mapping[str, Any], names: Sequence[str], where: object) -> list[Any]:
    """Return the named fields of a mapping."""
    try:
        return [record[name] for name in names]
    except KeyError as error:
        raise missing_column(where, error.args[0], record) from None


def _name(column: Column | None) -> str | None:
    return None if column is None else str(column)
