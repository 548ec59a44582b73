"""Applications, one per file: a task reads data, trains a model, evaluates it, and saves it as one file."""

from importlib import import_module
from pathlib import Path
from typing import Any

from elman.optional_packages import needed_by
from elman.runtime import TASKS, module_of, read_trained

_HOMES = {"Task": "elman.tasks.base"} | {name: f"elman.tasks.{module_of(word)}" for word, name in TASKS.items()}

__all__ = ["load", "task_class", *sorted(_HOMES)]


def task_class(word: str) -> Any:
    """Return the class of a task, which is imported first if need be.

    Raises:
        ValueError: there is no such task.
    """
    if word not in TASKS:
        raise ValueError(f"expected one of {', '.join(TASKS)}, got {word!r}.")
    return getattr(import_module(f"elman.tasks.{module_of(word)}"), TASKS[word])


def load(path: str | Path) -> Any:
    """Return the trained model in a model file or a run folder.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the file is damaged, a checkpoint, of no task, or of a task that this version does not have.
        MissingPackage: PyTorch is not installed.
    """
    file = read_trained(path)
    if "task" not in file.metadata:
        raise ValueError(f"{path}: expected the model of a task, got another one; use "
                         "elman.runtime.load(path), or construct the cell and call its load(path).")  # fmt: skip
    try:
        with needed_by("elman.load", "use elman.runtime.load, which does not need it"):
            kind = task_class(file.metadata["task"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return kind.from_file(file)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'elman.tasks' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
