"""Readers of data frames and Parquet files."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from elman.data.frames import type_name
from elman.data.label_text import label_text
from elman.data.raw_files import reading
from elman.data.readers.columns import Column, Columns, positions
from elman.data.readers.labelled import Labelled, Row, Table, at_least_one, gather
from elman.optional_packages import needed_by

ROW = "row "  # begins the number of a record


def read_frame(
    frame: Any,
    *,
    text: Column | None = None,
    label: Column | None = None,
    values: Column | Iterable[Column] = (),
    group: Column | None = None,
    time: Column | None = None,
) -> Labelled:
    """Read the rows of a data frame.

    Labels and names of series keep their type: text, whole numbers or booleans. Labels that are fractions become text.

    Args:
        frame: a data frame of pandas, polars or pyarrow, any object with an Arrow C stream, or a mapping of columns.
        text, label, values, group, time: as for `read_labelled`.
    Raises:
        TypeError: frame is not a data frame.
        ValueError: a column, a text or a label is missing, or a value is not a number.
        ModuleNotFoundError: narwhals is not installed, and frame is not a mapping.
    Example:
        >>> read_frame({"review": ["good", "bad"], "stars": [5, 1]}, text="review", label="stars")
        Labelled(inputs=['good', 'bad'], labels=[5, 1], places=['row 0', 'row 1'])
    """
    columns = Columns.chosen(text, label, values, group, time, typed=True)
    rows = _from_mapping(frame, columns) if isinstance(frame, Mapping) else _from_frame(frame, columns)
    read = gather(at_least_one("frame", rows))
    if read.labels is not None and any(isinstance(label, float) for label in read.labels):
        return read._replace(labels=[label_text(label) for label in read.labels])
    return read


def read_parquet(file: Path, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a Parquet file; only the named columns are read."""
    polars = _package("polars", file)
    try:
        with reading(file), file.open("rb") as stream:
            known = list(polars.read_parquet_schema(stream))
            stream.seek(0)
            chosen, watched = _chosen(file, columns, known)
            table = polars.read_parquet(stream, columns=list(dict.fromkeys(chosen)))
    except polars.exceptions.PolarsError as error:
        raise ValueError(f"{file}: expected a Parquet file: {error}") from None
    return columns.rows(Table(file, ROW), _records(table, chosen, columns, file), watched)


def _from_mapping(frame: Mapping[Any, Any], columns: Columns) -> Iterator[Row]:
    by_name = {str(key): column for key, column in frame.items()}
    chosen, watched = _chosen("frame", columns, list(map(str, frame)))
    lengths = {name: _length(by_name[name]) for name in columns.names}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        raise ValueError(f"frame: expected columns of one length, got {lengths}.")
    if any(_length(by_name[name]) not in lengths.values() for name in watched):
        chosen, watched = columns.names, []  # the columns that are read are a table, the mapping is not
    return columns.rows(Table(None, ROW), enumerate(zip(*(by_name[name] for name in chosen), strict=True)), watched)


def _length(column: Any) -> int | None:
    """Return the length of a column; None for a single value or an iterator."""
    try:
        return len(column)
    except TypeError:
        return None


def _from_frame(frame: Any, columns: Columns) -> Iterator[Row]:
    narwhals = _package("narwhals", "a data frame")
    try:
        if hasattr(frame, "__arrow_c_stream__") and not narwhals.dependencies.is_into_dataframe(frame):
            frame = _package("polars", "a stream of Arrow").DataFrame(frame)
        table = narwhals.from_native(frame, eager_only=True)
    except narwhals.exceptions.DuplicateError as error:
        names = " ".join(str(error).split("\n- ")[1:])
        raise ValueError(f"frame: expected a name of its own for each column, got {names}; rename them.") from None
    except TypeError:
        raise TypeError(f"frame: expected a data frame or a mapping of columns, {_other(frame)}.") from None
    chosen, watched = _chosen("frame", columns, [str(name) for name in table.columns])
    return columns.rows(Table(None, ROW), _records(table, chosen, columns, "a data frame"), watched)


def _other(value: Any) -> str:
    """Return what a value is that is not a data frame, and the way out if there is one."""
    if isinstance(value, str | os.PathLike):
        return f"got the name {os.fspath(value)!r}; read files with elman.data.readers.read_labelled"
    if hasattr(value, "collect"):
        return f"got {type_name(value)}; give frame.collect()"
    return f"got {type_name(value)}"


def _chosen(where: object, columns: Columns, known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the columns to read of a table, and the last of them, which may be the time of its series."""
    watched = columns.watched(known)
    positions(where, columns.names, known)
    return [*columns.names, *watched], watched


def _records(table: Any, chosen: Sequence[str], columns: Columns, what: object) -> Iterator[tuple[int, Sequence[Any]]]:
    """Yield the number of each record of a table, and its fields of some columns, which may repeat."""
    narwhals = _package("narwhals", what)
    table = narwhals.from_native(table, eager_only=True, pass_through=False)
    by_name = {str(name): name for name in table.columns}
    distinct = list(dict.fromkeys(chosen))
    others = {*columns.values, columns.text, columns.label, columns.group}
    selected = table.select(
        *(
            narwhals.col(by_name[name]) if name in others else _exact(narwhals, table, by_name[name])
            for name in distinct
        )
    )
    places = [distinct.index(name) for name in chosen]
    for number, fields in enumerate(selected.iter_rows()):
        yield number, [fields[place] for place in places]


def _exact(narwhals: Any, table: Any, name: Any) -> Any:
    """Return a column of times, as nanoseconds where Python's own times would round them."""
    column, kind = narwhals.col(name), table.schema[name]
    if table.implementation.is_pandas_like():  # its own times have nanoseconds
        return column
    if isinstance(kind, narwhals.Datetime) and kind.time_unit == "ns":
        return column.dt.timestamp("ns")
    if isinstance(kind, narwhals.Duration) and kind.time_unit == "ns":
        return column.dt.total_nanoseconds()
    return column.cast(narwhals.Int64) if isinstance(kind, narwhals.Time) else column


def _package(name: str, what: object) -> ModuleType:
    with needed_by(str(what)):
        return import_module(name)
