"""What is shown while a command works: the library's messages, and progress."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from elman.training import Event


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=record.levelno > logging.INFO)


@contextmanager
def messages() -> Iterator[None]:
    """Print what the library logs: information to standard output, warnings to standard error."""
    logger, handler = logging.getLogger("elman"), _Echo()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def training_progress() -> Iterator[Callable[["Event"], None]]:
    """An observer that shows where a training run is, from its first event on: what was said before stays above."""
    from elman.training import Progress

    with ExitStack() as stack:
        entered: list[Progress] = []

        def show(event: "Event") -> None:
            if not entered:
                entered.append(stack.enter_context(Progress()))
            entered[0](event)

        yield show


@contextmanager
def part_done(label: str) -> Iterator[Callable[[float], None]]:
    """A bar on standard error; call it with the part that is done, 0 to 1."""
    with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:
        yield lambda part: bar.update(round(1000 * part) - bar.pos)


@contextmanager
def rows_done(every: float | None = None) -> Iterator[Callable[[int], None]]:
    """Say on standard error how many rows are done and how fast, where that takes long; call it with rows that are.

    It is quiet where the rows themselves appear on a terminal.

    Args:
        every: seconds between messages; None for 0.2 on a terminal, where they replace each other, and 30 elsewhere.
    """
    terminal, quiet = sys.stderr.isatty(), sys.stdout.isatty()
    pause = (0.2 if terminal else 30.0) if every is None else every
    began = time.monotonic()
    due = began + (2.0 if every is None else every)
    count, said = 0, False

    def add(rows: int) -> None:
        nonlocal count, due, said
        count += rows
        if not quiet and (now := time.monotonic()) >= due:
            due, said = now + pause, True
            text = f"{count:,} rows, {count / max(now - began, 1e-9):,.0f} a second"
            click.echo(f"\r{text}\x1b[K" if terminal else text, nl=not terminal, err=True)

    yield add
    if said and terminal:
        click.echo(err=True)
