"""What is shown while a command works: the library's messages, and progress."""

import logging
import sys
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
