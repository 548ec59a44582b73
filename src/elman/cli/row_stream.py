"""Rows to predict, in batches that do not wait for rows that have not arrived yet."""

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import click

from elman.data.raw_files import decoded, lines
from elman.data.readers.labelled import Labelled, Row

STDIN = Path("-")
PIPE_BYTES = 1 << 16  # read at a time: the capacity of a pipe
BATCH_ROWS = 512
BATCH_NUMBERS = 1 << 23  # of the arrays in a batch


class ArrivingLines:
    """Lines of a binary stream, with their ends, each as soon as it is complete.

    Attributes:
        ready: whether the next line has arrived already.
    """

    def __init__(self, stream: BinaryIO):
        self._stream: Any = stream  # `read1` returns the bytes that have arrived, and waits only if there are none
        self.ready = False

    def __iter__(self) -> Iterator[bytes]:
        partial: list[bytes] = []
        while piece := self._stream.read1(PIPE_BYTES):
            *complete, rest = piece.split(b"\n")
            for number, line in enumerate(complete, 1):
                self.ready = number < len(complete)
                yield b"".join([*partial, line, b"\n"])
                partial = []
            partial += [rest] if rest else []
        if partial:
            self.ready = False
            yield b"".join(partial)


class TextFile(NamedTuple):
    """Lines of a file or of standard input, with their ends."""

    name: Path
    lines: Iterator[str]
    ready: Callable[[], bool]  # whether the next line has arrived already


def open_text(file: Path) -> TextFile:
    """Open a text file for reading line by line: `-` is standard input, `.gz` is unpacked."""
    if file != STDIN:
        return TextFile(file, lines(file), lambda: True)
    if sys.stdin.isatty():
        click.echo("Reading what you type, line by line; Ctrl-D ends it.", err=True)
    arriving, name = ArrivingLines(sys.stdin.buffer), Path("standard input")
    return TextFile(name, decoded(name, arriving), lambda: arriving.ready)


class RowStream(NamedTuple):
    """Rows to predict."""

    rows: Iterable[Row]
    ready: Callable[[], bool] = lambda: True  # whether the next row has arrived already

    def batches(self) -> Iterator[list[Row]]:
        """Yield the rows in batches. A batch ends where the next row has not arrived yet."""
        batch: list[Row] = []
        numbers = 0
        for row in self.rows:
            batch.append(row)
            numbers += getattr(row.input, "size", 0)
            if len(batch) == BATCH_ROWS or numbers >= BATCH_NUMBERS or not self.ready():
                yield batch
                batch, numbers = [], 0
        if batch:
            yield batch


def whole_line(line: str) -> str:
    """Return a line without its end."""
    return line.rstrip("\r\n")


def first_field(line: str) -> str:
    """Return a line up to its first tab."""
    return whole_line(line).partition("\t")[0]


def text_lines(file: Path, parse: Callable[[str], Any] = whole_line) -> RowStream:
    """Return a row per line of a file or of standard input.

    Args:
        parse: makes the input of a line.
    """
    text = open_text(file)
    rows = (Row(parse(line), None, f"{text.name}:{number}") for number, line in enumerate(text.lines, 1))
    return RowStream(rows, text.ready)


def rows_of(data: Labelled) -> RowStream:
    """Return rows that have been read, without their labels."""
    return RowStream(map(Row, data.inputs, repeat(None), data.places))
