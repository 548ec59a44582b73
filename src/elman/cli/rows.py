"""The files of each task that learns from rows and their labels: how they are read, and what may be said of them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elman.cli.reading import (
    CAPTIONED,
    LABELLED,
    PARALLEL,
    TAGGED,
    read_captioned,
    read_labelled,
    read_parallel,
    read_tagged,
)
from elman.cli.source import Reading

if TYPE_CHECKING:
    from elman.data.readers import Labelled

_READERS: Mapping[str, tuple[Callable[[Sequence[Path], Reading], "Labelled"], Mapping[str, Any]]] = {
    "classifier": (read_labelled, LABELLED),
    "tagger": (read_tagged, TAGGED),
    "translator": (read_parallel, PARALLEL),
    "summarizer": (read_parallel, PARALLEL),
    "captioner": (read_captioned, CAPTIONED),
}


def read_rows(model: Any, files: Sequence[Path], reading: Reading) -> "Labelled":
    """What a trained model reads, and what it should say of it.

    Raises:
        OSError, ValueError: as the reader of its task.
    """
    if model.task == "classifier":
        model.classes_ = model.classes_.astype(str)  # labels of files are text, also where Python gave numbers
    read, _ = _READERS[model.task]
    return read(files, reading)


def columns_of(task: str) -> set[str]:
    """The options that say how files of a task are read."""
    return set(_READERS[task][1]) if task in _READERS else set()


def check_acting(options: Iterable[str], acting: Collection[str], task: str) -> None:
    """Raise unless each option that was given can act on models of that task.

    Raises:
        click.UsageError: one cannot.
    """
    for name in options:
        if name not in acting:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option}: cannot act on a {task}; leave it out.")
