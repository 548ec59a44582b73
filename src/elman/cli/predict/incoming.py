"""Lines of a stream as they come, and rows in batches that wait for nothing."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click

from elman.data.raw_files import decoded, lines

if TYPE_CHECKING:
    from elman.data.readers.labelled import Row

STDIN = Path("-")
PIECE = 1 << 16  # bytes that are asked for at a time: what a pipe holds
ROWS = 512  # of a batch
NUMBERS = 1 << 23  # of its arrays


class Incoming:
    """The lines of a stream with their ends, each as soon as it is whole.

    Attributes:
        at_hand: whether the line after the one that came last is here already.
    """

    def __init__(self, stream: BinaryIO):
        self._stream: Any = stream  # its `read1` returns what there is, and waits only where there is nothing
        self.at_hand = False

    def __iter__(self) -> Iterator[bytes]:
        begun: list[bytes] = []
        while piece := self._stream.read1(PIECE):
            *whole, rest = piece.split(b"\n")
            for number, line in enumerate(whole, 1):
                self.at_hand = number < len(whole)
                yield b"".join([*begun, line, b"\n"])
                begun = []
            begun += [rest] if rest else []
        if begun:
            self.at_hand = False
            yield b"".join(begun)


class Text(NamedTuple):
    """The lines of a file or of standard input, with their ends."""

    where: Path
    content: Iterator[str]
    at_hand: Callable[[], bool]  # whether the next line is here already

    @classmethod
    def of(cls, file: Path) -> "Text":
        """
        Args:
            file: `-` is standard input; `.gz` is unpacked.
        """
        if file != STDIN:
            return cls(file, lines(file), lambda: True)
        if sys.stdin.isatty():
            click.echo("Reading what you type, line by line; Ctrl-D ends it.", err=True)
        incoming = Incoming(sys.stdin.buffer)
        where = Path("standard input")
        return cls(where, decoded(where, incoming), lambda: incoming.at_hand)


class Coming(NamedTuple):
    """Rows to predict."""

    rows: "Iterable[Row]"
    at_hand: Callable[[], bool]

    def batches(self) -> "Iterator[list[Row]]":
        """The rows in batches; one ends where the next row is not at hand."""
        batch: list[Row] = []
        numbers = 0
        for row in self.rows:
            batch.append(row)
            numbers += getattr(row.input, "size", 0)
            if len(batch) == ROWS or numbers >= NUMBERS or not self.at_hand():
                yield batch
                batch, numbers = [], 0
        if batch:
            yield batch
