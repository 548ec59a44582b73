"""Trained models without PyTorch: `load(path)`, then `predict`, `evaluate`, `generate` or `stream`."""

from importlib import import_module
from pathlib import Path
from typing import Any

from elman import classical
from elman.network import Layer, ModelFile, NoSpec, Stepper, Streams, read_model

MODELS = {  # word of the task in files -> module:class
    "classifier": "elman.runtime.classifier:ClassifierModel",
    "language-model": "elman.runtime.language_model:TextModel",
    "tagger": "elman.runtime.tagger:TaggerModel",
    "translator": "elman.runtime.translator:TranslatorModel",
    "captioner": "elman.runtime.captioner:CaptionerModel",
    "summarizer": "elman.runtime.summarizer:SummarizerModel",
}

__all__ = ["MODELS", "Layer", "ModelFile", "NoSpec", "Stepper", "Streams", "classical_model", "load", "trained_model"]


def load(path: str | Path) -> Any:
    """Return the trained model in a model file or a run folder, ready for use without PyTorch.

    Returns:
        the trained model of a task, with its `predict`, `evaluate` and the like; a classical model; or the `Layer` of a
        cell or a stack, with `scan`, `step` and `stepper`.
    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: the file is damaged, a checkpoint, or of a model that this version does not have; or a layer of
            the model runs in PyTorch only.
    """
    file = read_model(path)
    if "place" in file.metadata:
        raise ValueError(f"{path}: expected a trained model, got a checkpoint; name the run folder, or resume the run.")
    if "model" in file.metadata:
        return classical_model(file)
    return trained_model(file) if "task" in file.metadata else file.network()


def trained_model(file: ModelFile) -> Any:
    """Return the trained model of a task in a file.

    Raises:
        ValueError: the task is unknown, a part of the file is missing or wrong, or a layer runs in PyTorch only.
    """
    task = file.value("task", str)
    if task not in MODELS:
        raise ValueError(f"{file.path}: expected one of {', '.join(MODELS)}, got {task!r}.")
    module, _, name = MODELS[task].partition(":")
    return getattr(import_module(module), name).from_file(file)


def classical_model(file: ModelFile) -> Any:
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
