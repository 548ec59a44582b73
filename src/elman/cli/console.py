"""Log messages and progress on the console."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
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
def progress_bar(label: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on standard error. Yields a function to call with the fraction that is done, 0 to 1."""
    with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:
        yield lambda part: bar.update(round(1000 * part) - bar.pos)


@contextmanager
def row_counter(every: float | None = None) -> Iterator[Callable[[int], None]]:
    """Print the number of finished rows and their rate to standard error, if that takes more than 2 seconds.

    Yields a function to call with the number of rows that were finished. Nothing is printed if standard output is a
    terminal, which shows the rows themselves.

    Args:
        every: seconds between messages; None for 0.2 on a terminal, where they replace each other, and 30 elsewhere.
    """
    terminal, quiet = sys.stderr.isatty(), sys.stdout.isatty()
    pause = (0.2 if terminal else 30.0) if every is None else every
    began = time.monotonic()
    due = began + (2.0 if every is None else every)
    count, shown = 0, False

    def add(rows: int) -> None:
        nonlocal count, due, shown
        count += rows
        if not quiet and (now := time.monotonic()) >= due:
            due, shown = now + pause, True
            text = f"{count:,} rows, {count / max(now - began, 1e-9):,.0f} a second"
            click.echo(f"\r{text}\x1b[K" if terminal else text, nl=not terminal, err=True)

    yield add
    if shown and terminal:
        click.echo(err=True)
