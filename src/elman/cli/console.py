"""Log messages and progress on the console."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import click

from elman.progress import DELAY, PAUSE, ProgressLine, erase


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        erase()
        click.echo(record.getMessage(), err=record.levelno > logging.INFO)


@contextmanager
def printed_log() -> Iterator[None]:
    """Print the log of the library: information to standard output, warnings to standard error."""
    logger, handler = logging.getLogger("elman"), _Echo()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def log_messages() -> Iterator[None]:
    """Log information, too; by default the log has warnings only."""
    logger = logging.getLogger("elman")
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def progress_share(label: str, delay: float = DELAY) -> Iterator[Callable[[float], None]]:
    """Show the finished share of a computation on standard error, if it takes longer than `delay` seconds.

    Yields a function to call with the share, above 0 and up to 1.
    """
    with ProgressLine(True, delay=delay) as line:
        yield partial(line.share, label)


@contextmanager
def row_counter(delay: float = DELAY, every: float = PAUSE) -> Iterator[Callable[[int], None]]:
    """Show the number of finished rows and their rate on standard error, if that takes longer than `delay` seconds.

    Yields a function to call with the number of rows that were finished. Nothing is shown if standard output is a
    terminal, which shows the rows themselves.

    Args:
        every: seconds between lines where they do not replace each other.
    """
    count = 0

    def text() -> str:
        return f"{count:,} rows, {count / max(line.seconds, 1e-9):,.0f} a second"

    def add(rows: int) -> None:
        nonlocal count
        count += rows
        line(text)

    with ProgressLine(not sys.stdout.isatty(), every=every, delay=delay) as line:
        yield add
