"""Columns of a table, and the rows made of them: texts, or series in long form, with one time step per line."""

import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elman.data.label_text import label_text, label_value
from elman.data.readers.labelled import Row
from elman.nearest import did_you_mean

Column = str | int  # a name, or a number from 1 in a table without a header
SHOWN = 20  # most columns that an error lists
SEPARATED = re.compile(r"[+-]?\d[\d.,' \u00a0\u202f\u2019]*\d")  # 1,234.5  1.234,5  1 234  1'234
MISSING = ("", "NA", "?")  # marks of a missing number, in addition to NaN


@dataclass(frozen=True)
class Columns:
    """Columns to read: one of texts, or those of the variables of series."""

    text: str | None
    label: str | None
    values: tuple[str, ...]
    group: str | None
    typed: bool = False  # whether labels keep their type; they are text otherwise

    @classmethod
    def chosen(
        cls,
        text: Column | None,
        label: Column | None,
        values: Column | Iterable[Column],
        group: Column | None,
        typed: bool = False,
    ) -> "Columns":
        """Return checked columns.

        Raises:
            ValueError: text and values are both given or both missing, texts have a group, or a column is given twice.
        """
        names = (values,) if isinstance(values, str | int) else values
        columns = cls(_name(text), _name(label), tuple(map(str, names)), _name(group), typed)
        if (columns.text is None) == (not columns.values):
            got = "neither" if columns.text is None else "both"
            raise ValueError(f"expected text (a column) or values (columns of numbers), got {got}.")
        if columns.text is not None and columns.group is not None:
            raise ValueError(f"group={columns.group!r}: has no effect on texts; it names the series of values.")
        if twice := [name for name in columns.names if columns.names.count(name) > 1]:
            raise ValueError(f"expected different columns, got {twice[0]!r} twice.")
        return columns

    @property
    def names(self) -> list[str]:
        """Names of the columns, in the order in which `rows` expects the fields."""
        inputs = self.values if self.text is None else (self.text,)
        return [*inputs, *(name for name in (self.label, self.group) if name is not None)]

    def rows(self, where: str, records: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[Row]:
        """Yield the rows of a table.

        Args:
            where: prefix of a record's number in its place, for example `reviews.tsv:`.
            records: number of each record, and its fields of the columns `names`.
        Raises:
            ValueError: a text or a label is missing, a value is not a number, or a series has two labels.
        """
        return self._texts(where, records) if self.text is not None else self._series(where, records)

    def _texts(self, where: str, records: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[Row]:
        for number, fields in records:
            place = f"{where}{number}"
            if not isinstance(fields[0], str):
                got = "none; an empty text is ''" if _missing(fields[0]) else type(fields[0]).__name__
                raise ValueError(f"{place}: expected text in {self.text!r}, got {got}.")
            yield Row(fields[0], None if self.label is None else self._label(where, number, fields[1]), place)

    def _label(self, where: str, number: int, value: Any) -> Any:
        word = _word(where, number, str(self.label), value)
        return label_value(value) if self.typed else word

    def _series(self, where: str, records: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[Row]:
        found: dict[str, _Series] = {}
        label: Any
        size = len(self.values)
        for number, fields in records:
            key, label = "", None
            if self.group is not None:
                key = _word(where, number, self.group, fields[-1])
            if self.label is not None:
                label = self._label(where, number, fields[size])
            series = found.get(key)
            if series is None:
                series = found[key] = _Series(number, label)
            elif series.label != label:
                whose = "a file is one series unless group is set" if self.group is None else f"{self.group}={key}"
                raise ValueError(
                    f"{where}{number}: expected the label {series.label!r} of {where}{series.number} ({whose}), "
                    f"got {label!r}."
                )
            try:
                steps = as_numbers(fields[:size])
                usual = math.isfinite(sum(steps))
            except (TypeError, ValueError, OverflowError):
                usual = False
            if not usual:
                steps = [_number(f"{where}{number}", *pair) for pair in zip(self.values, fields, strict=False)]
            series.values.extend(steps)
        for series in found.values():  # views of the collected values: a long series is in memory once
            yield Row(np.frombuffer(series.values).reshape(-1, size), series.label, f"{where}{series.number}")


def as_numbers(fields: Sequence[Any]) -> list[float]:
    """Return fields as numbers.

    Raises:
        TypeError, ValueError, OverflowError: a field is not a number. Python reads `1_0` as 10, but in data it is an
            identifier or a range.
    """
    numbers = list(map(float, fields))
    for value in fields:
        if isinstance(value, str) and "_" in value:
            raise ValueError(f"expected a number, got {value!r}.")
    return numbers


def missing_column(where: object, name: str, known: Iterable[str], way_out: str = "") -> ValueError:
    """Return the error for a missing column, with a list of the existing ones."""
    names = list(known)
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


@dataclass
class _Series:
    number: int  # record that it starts in
    label: Any
    values: "array[float]" = field(default_factory=lambda: array("d"))  # concatenated values of its time steps


def _name(column: Column | None) -> str | None:
    return None if column is None else str(column)


def _missing(value: Any) -> bool:
    """Return whether a field is empty, NaN, None or a missing value of a data frame."""
    if isinstance(value, str):
        return value.strip() in MISSING
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _word(where: str, number: int, column: str, value: Any) -> str:
    """Return a label, or the name of a series, as text: the same text from text files and from typed columns."""
    word = "" if not isinstance(value, str) and _missing(value) else label_text(value)
    if not word:
        raise ValueError(f"{where}{number}: expected a value in {column!r}, found none.")
    return word


def _number(place: str, column: str, value: Any) -> float:
    try:
        number = math.nan if _missing(value) else as_numbers([value])[0]
    except (TypeError, ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        way_out = ""
        if isinstance(value, str) and SEPARATED.fullmatch(value.strip()):
            way_out = " (write numbers without thousands separators, and with a decimal point: 1234.5)"
        raise ValueError(
            f"{place}: expected a finite number in {column!r}, or nothing if it is missing, got {value!r}{way_out}."
        )
    return number
