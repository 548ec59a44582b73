"""Readers of data frames and Parquet files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from elman.data.label_text import label_text
from elman.data.raw_files import reading
from elman.data.readers.columns import Column, Columns, positions
from elman.data.readers.labelled import Labelled, Row, at_least_one, gather


def read_frame(
    frame: Any,
    *,
    text: Column | None = None,
    label: Column | None = None,
    values: Column | Iterable[Column] = (),
    group: Column | None = None,
) -> Labelled:
    """Read the rows of a data frame. Labels keep their type: text, whole numbers or booleans; fractions become text.

    Args:
        frame: a data frame of pandas, polars or pyarrow, any object with an Arrow C stream, or a mapping of columns.
        text, label, values, group: as for `read_labelled`.
    Raises:
        TypeError: frame is not a data frame.
        ValueError: a column, a text or a label is missing, or a value is not a number.
        ModuleNotFoundError: narwhals is not installed, and frame is not a mapping.
    Example:
        >>> read_frame({"review": ["good", "bad"], "stars": [5, 1]}, text="review", label="stars")
        Labelled(inputs=['good', 'bad'], labels=[5, 1], places=['row 0', 'row 1'])
    """
    columns = Columns.chosen(text, label, values, group, typed=True)
    records = _from_mapping(frame, columns) if isinstance(frame, Mapping) else _from_frame(frame, columns)
    read = gather(at_least_one("frame", columns.rows("row ", enumerate(records))))
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
            chosen = [known[at] for at in positions(file, columns.names, known)]
            table = polars.read_parquet(stream, columns=chosen)
    except polars.exceptions.PolarsError as error:
        raise ValueError(f"{file}: expected a Parquet file: {error}") from None
    return columns.rows(f"{file}:row ", enumerate(table.select(chosen).iter_rows()))


def _from_mapping(frame: Mapping[Any, Any], columns: Columns) -> Iterator[Sequence[Any]]:
    keys = list(frame)
    chosen = [frame[keys[at]] for at in positions("frame", columns.names, [str(key) for key in keys])]
    lengths = {name: len(column) for name, column in zip(columns.names, chosen, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"frame: expected columns of one length, got {lengths}.")
    return zip(*chosen, strict=True)


def _from_frame(frame: Any, columns: Columns) -> Iterator[Sequence[Any]]:
    narwhals = _package("narwhals", "a data frame")
    try:
        if hasattr(frame, "__arrow_c_stream__") and not narwhals.dependencies.is_into_dataframe(frame):
            frame = _package("polars", "a stream of Arrow").DataFrame(frame)
        table = narwhals.from_native(frame, eager_only=True)
    except TypeError:
        kind = f"{type(frame).__module__.partition('.')[0]}.{type(frame).__name__}"
        raise TypeError(f"frame: expected a data frame or a mapping of columns, got {kind}.") from None
    known = [str(name) for name in table.columns]
    chosen = [table.columns[at] for at in positions("frame", columns.names, known)]
    return table.select(narwhals.col(*chosen)).iter_rows()


def _package(name: str, what: object) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"{what}: needs the package {name}", name=name) from None
