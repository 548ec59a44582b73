"""Trained models, and the commands that they are for."""

from pathlib import Path
from typing import Any

VERBS = {
    "language-model": ("evaluate", "doctor", "generate"),
    "classifier": ("evaluate", "doctor", "predict"),
    "tagger": ("evaluate", "doctor", "predict"),
    "translator": ("evaluate", "doctor", "predict"),
    "summarizer": ("evaluate", "doctor", "predict"),
    "captioner": ("evaluate", "doctor", "predict"),
}


def check_verb(run: Path, task: object, verb: str) -> None:
    """Raise unless the command is for models of this task.

    Raises:
        ValueError: it is not; which command is.
    """
    own = VERBS.get(str(task), (verb,))
    if verb not in own:
        able = [word for word, verbs in VERBS.items() if verb in verbs]
        raise ValueError(f"{run}: elman {verb} is for a {' or a '.join(able)}, this is a {task}; use elman {own[-1]}.")


def load_for(verb: str, run: Path) -> Any:
    """The trained model in a run folder or a model file.

    Raises:
        FileNotFoundError, ValueError: as `elman.load`; or the command is not for such models.
    """
    from elman.tasks import load

    model = load(run)
    check_verb(run, model.task, verb)
    return model
