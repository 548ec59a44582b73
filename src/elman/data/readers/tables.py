"""Readers of tables as text files: CSV, TSV and JSONL."""

import csv
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from elman.data.raw_files import lines
from elman.data.readers.columns import Columns, from_mapping, positions
from elman.data.readers.labelled import Row, Table

Records = Iterator[tuple[int, list[str]]]  # number of the first line of each record, and its fields

LONGEST_FIELD = (1 << 31) - 1  # characters of a CSV field; Python's default of 131,072 is too short for a book
QUOTED = re.compile(r'"(?:[^"]|"")*"')
FIELD = re.compile(rf"(?:^|\t)({QUOTED.pattern}(?=\t|$)|[^\t]*)")


def read_csv(file: Path, columns: Columns) -> Iterator[Row]:
    """Yield the rows of comma-separated values, with quotes as in RFC 4180: a quoted field may hold line breaks."""
    return _rows(file, _csv(file), columns)


def read_tsv(file: Path, columns: Columns) -> Iterator[Row]:
    """Yield the rows of tab-separated values, one per line. Quotes have a meaning only around a whole field."""
    return _rows(file, _tsv(file), columns)


def read_jsonl(file: Path, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a file with one JSON object per line."""
    records = _jsonl(file)
    first = next(records, None)
    watched = [] if first is None else columns.watched(list(first[1]))
    fields = ((number, [*from_mapping(record, columns.names, f"{file}:{number}"), *map(record.get, watched)])
              for number, record in chain([] if first is None else [first], records))  # fmt: skip
    return columns.rows(Table(file), fields, watched)


def _csv(file: Path) -> Records:
    csv.field_size_limit(
        max(csv.field_size_limit(), LONGEST_FIELD)
    )  # not reset afterwards: another thread may be reading
    reader = csv.reader(lines(file), strict=True)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{file}:{start}: not CSV from this line on: {error}; double each quote inside a quoted field."
        ) from None


def _tsv(file: Path) -> Records:
    width = None
    for number, line in enumerate(lines(file), 1):
        line = line.rstrip("\r\n")
        if not line:
            continue
        fields = line.split("\t")
        if '"' in line:
            if len(fields) != width:  # a tab inside quotes does not separate
                fields = FIELD.findall(line)
            fields = [field[1:-1].replace('""', '"') if QUOTED.fullmatch(field) else field for field in fields]
        width = width or len(fields)
        yield number, fields


def _rows(file: Path, records: Records, columns: Columns) -> Iterator[Row]:
    """Yield the rows of a table. If the names of all columns are numbers, it has no header."""
    first = next(records, None)
    if first is None:
        raise ValueError(f"{file}: empty; expected a table.")
    width, names = len(first[1]), columns.names
    if all(name.isascii() and name.isdecimal() for name in names):
        known = [str(number) for number in range(1, width + 1)]
        records = chain([first], records)
        chosen = positions(file, names, known, " (numbers are for tables without a header)")
    else:
        known = [name.strip() for name in first[1]]
        chosen = positions(file, names, known, "; without a header, name columns by number, from 1")
    watched = columns.watched(known)
    chosen += map(known.index, watched)

    def fields() -> Records:
        for number, fields in records:
            if len(fields) != width:
                count = 1 + _ragged(records, width)
                others = f" (the first of {count:,} such lines)" if count > 1 else ""
                raise ValueError(
                    f"{file}:{number}: expected {width} fields as in line {first[0]}, got {len(fields)}{others}; "
                    "a field with separators or line breaks needs quotes (line breaks: in CSV only)."
                )
            yield number, [fields[column] for column in chosen]

    return columns.rows(Table(file), fields(), watched)


def _ragged(records: Records, width: int) -> int:
    """Return how many of the remaining records have another number of fields, up to the first unreadable one."""
    count = 0
    with suppress(ValueError):
        for _, fields in records:
            count += len(fields) != width
    return count


def _jsonl(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines(file), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file}:{number}: expected a JSON object on a line: {error}.") from None
        if not isinstance(record, dict):
            raise ValueError(f"{file}:{number}: expected a JSON object on a line, got {type(record).__name__}.")
        yield number, record
