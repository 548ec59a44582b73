"""Trained models without PyTorch: `load(path)`, then `predict`, `evaluate`, `generate` or `stream`."""

from importlib import import_module
from pathlib import Path
from typing import Any

from elman import classical
from elman.network import Layer, ModelFile, NoSpec, Stepper, Streams, read_model

# Name of a task on the command line and in files -> its class. `elman.tasks.tagger.Tagger` trains a `tagger`, and
# `elman.runtime.tagger.TrainedTagger` runs it.
TASKS = {
    "language-model": "LanguageModel",
    "classifier": "Classifier",
    "tagger": "Tagger",
    "translator": "Translator",
    "summarizer": "Summarizer",
    "captioner": "Captioner",
}

__all__ = ["TASKS", "Layer", "ModelFile", "NoSpec", "Stepper", "Streams", "load", "module_of", "read_trained",
           "trained_class", "trained_model"]  # fmt: skip


def load(path: str | Path) -> Any:
    """Return the trained model in a model file or a run folder, ready for use without PyTorch.

    Returns:
        the trained model of a task, with methods such as `predict` and `evaluate`; a classical model; or the `Layer` of
        a cell or a stack, with `scan`, `step` and `stepper`.
    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the file is damaged, a checkpoint, or of a model that this version does not have; or a layer of
            the model runs in PyTorch only.
    """
    file = read_trained(path)
    if "model" in file.metadata:
        return _classical_model(file)
    return trained_model(file) if "task" in file.metadata else file.network()


def read_trained(path: str | Path) -> ModelFile:
    """Read the file of a trained model, or the model file of a run folder.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the file is damaged, or a checkpoint.
    """
    file = read_model(path)
    if "place" in file.metadata:
        raise ValueError(f"{path}: expected a trained model, got a checkpoint; name the run folder, or resume the run.")
    return file


def trained_model(file: ModelFile) -> Any:
    """Return the trained model of a task in a file.

    Raises:
        ValueError: the task is unknown, a part of the file is missing or wrong, or a layer runs in PyTorch only.
    """
    task = file.value("task", str)
    if task not in TASKS:
        raise ValueError(f"{file.path}: expected one of {', '.join(TASKS)}, got {task!r}.")
    return trained_class(task).from_file(file)


def trained_class(task: str) -> Any:
    """Return the class of the trained models of a task, one of `TASKS`."""
    return getattr(import_module(f"elman.runtime.{module_of(task)}"), f"Trained{TASKS[task]}")


def module_of(task: str) -> str:
    """Return the name of the modules of a task: in `elman.runtime`, `elman.tasks` and `elman.cli.tasks`."""
    return task.replace("-", "_")


def _classical_model(file: ModelFile) -> Any:
    """Return the classical model in a file.

    Raises:
        ValueError: the kind of model is unknown, or a part of the file is missing or wrong.
    """
    kind = file.value("model", str)
    if kind not in classical.MODELS:
        raise ValueError(
            f"{file.path}: expected a model of elman.classical ({', '.join(classical.MODELS)}), got {kind!r}."
        )
    return getattr(classical, kind).from_file(file)
