"""Applications, one a file: a task takes data, trains, is measured, and is saved as one file."""

from pathlib import Path
from typing import Any

from elman.runtime import load as load_file
from elman.tasks.captioner import Captioner
from elman.tasks.classifier import Classifier
from elman.tasks.language_model import LanguageModel
from elman.tasks.summarizer import Summarizer
from elman.tasks.tagger import Tagger
from elman.tasks.task import Task
from elman.tasks.translator import Translator

TASKS: dict[str, type[Task]] = {
    kind.task: kind for kind in (LanguageModel, Classifier, Tagger, Translator, Summarizer, Captioner)
}

__all__ = ["TASKS", "Captioner", "Classifier", "LanguageModel", "Summarizer", "Tagger", "Task", "Translator", "load"]


def load(path: str | Path) -> Any:
    """The trained model in a model file or a run folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is truncated or altered, or of a task that this version does not know.
    """
    file = load_file(path)
    word = file.metadata.get("task")
    if word not in TASKS:
        raise ValueError(f"{path}: expected the model of one of {', '.join(TASKS)}, got {word!r}.")
    if "place" in file.metadata:
        raise ValueError(f"{path}: expected a trained model, got a checkpoint; name the run folder, or train on.")
    return TASKS[word].from_file(file)
