"""Rows to predict, in batches that do not wait for rows that have not arrived yet."""

import json
import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from elman.data.raw_files import STDIN, decoded, lines, reading, split_lines, stdin
from elman.data.readers.labelled import Labelled, Row, names_of
from elman.errors import RowError, located

Result = TypeVar("Result")

PIPE_BYTES = 1 << 16  # read at a time: the capacity of a pipe
BATCH_ROWS = 512
BATCH_NUMBERS = 1 << 23  # of the arrays in a batch


class TextLines:
    """Lines of a text file or of standard input, with their ends, each as soon as it is complete.

    Args:
        file: `STDIN` is standard input, `.gz` is unpacked.
        expected: content of the lines, for the error about other data.
    Attributes:
        ready: whether the next line has arrived already.
    """

    def __init__(self, file: Path, expected: str = "text"):
        self.ready = file != STDIN
        self._lines = decoded(file, self._arriving(), expected) if file == STDIN else lines(file)

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def _arriving(self) -> Iterator[bytes]:
        stream = stdin()  # `read1` returns the bytes that have arrived, and waits only if there are none
        pieces: list[bytes] = []  # of a line that is not complete
        after_return = False  # a line feed that arrives now belongs to the line before
        while piece := _arrived(stream):
            found = split_lines(piece.removeprefix(b"\n") if after_return else piece)
            after_return = piece.endswith(b"\r")
            rest = [found.pop()] if found and not found[-1].endswith((b"\n", b"\r")) else []
            for number, line in enumerate(found, 1):
                self.ready = number < len(found)
                yield b"".join([*pieces, line])
                pieces.clear()
            pieces += rest
        self.ready = False
        if pieces:
            yield b"".join(pieces)


def _arrived(stream: Any) -> bytes:
    with reading(STDIN):
        piece: bytes = stream.read1(PIPE_BYTES)
    return piece


class RowStream(NamedTuple):
    """Rows to predict."""

    rows: Iterable[Row]
    ready: Callable[[], bool] = lambda: True  # whether the next row has arrived already

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows in batches. A batch ends where the next row has not arrived yet, or cannot be read."""
        batch: list[Row] = []
        numbers = 0
        try:
            for row in self.rows:
                batch.append(row)
                numbers += getattr(row.input, "size", 0)
                if len(batch) == BATCH_ROWS or numbers >= BATCH_NUMBERS or not self.ready():
                    yield batch
                    batch, numbers = [], 0
        except Exception:
            if batch:
                yield batch
            raise
        if batch:
            yield batch


def results(batch: Sequence[Row], compute: Callable[[Sequence[Row]], Result]) -> Iterator[Result]:
    """Yield the result of a batch. If a row fails, yield the result of the rows before it, then raise the error.

    Raises:
        ValueError: the model cannot read a row; the message names its place.
    """
    with located([row.place for row in batch]):
        try:
            found = compute(batch)
        except RowError as error:
            if error.row:
                yield from results(batch[: error.row], compute)
            raise
        yield found


def row_per_line(file: Path, parse: Callable[[str], Any] = lambda line: line, expected: str = "text") -> RowStream:
    """Return a row per line of a file or of standard input.

    Args:
        parse: makes the input of a line, which is given without its end.
        expected: content of the lines, for the error about other data.
    """
    text = TextLines(file, expected)
    rows = (Row(parse(line.rstrip("\r\n")), None, f"{file}:{number}") for number, line in enumerate(text, 1))
    return RowStream(rows, lambda: text.ready)


def text_lines(option: str, column: str | None) -> RowStream:
    """Return a row per line of standard input, which must not begin as the table of `column` does.

    Args:
        option: option of the command that names the column of texts, and reads a table.
        column: the column of texts in training; None if it is unknown.
    Raises:
        ValueError: the first line is a header with the column, or a JSON object that has it.
    """

    def checked(rows: Iterator[Row]) -> Iterator[Row]:
        for row in islice(rows, 1):
            if column and not column.isdecimal() and column in _field_names(row.input):
                raise ValueError(f"{row.place}: expected text, got a table with the column {column}; use {option} "
                                 f"{shlex.quote(column)} to read the table.")  # fmt: skip
            yield row
        yield from rows

    stream = row_per_line(STDIN)
    return RowStream(checked(iter(stream.rows)), stream.ready)


def _field_names(line: str) -> Collection[str]:
    """Return the keys of a JSON object, or the fields of a line as the header of a table."""
    with suppress(ValueError, RecursionError):
        record = json.loads(line)
        if isinstance(record, dict):
            return record.keys()
    return [field.removeprefix('"').removesuffix('"') for field in line.split("\t" if "\t" in line else ",")]


def rows_of(data: Labelled) -> RowStream:
    """Return rows that have been read, without their labels."""
    return RowStream(map(Row, data.inputs, repeat(None), data.places, names_of(data) or repeat(None)))
