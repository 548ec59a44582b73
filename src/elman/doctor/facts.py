"""What is known of a model beside itself: how it is trained, and on what."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from elman.doctor.history import History, history
from elman.tasks import Task
from elman.tasks.settings import flat, settings_of

LOG = "log.jsonl"  # in a run folder


class Facts(NamedTuple):
    """What an examination cannot see; each fact that is known makes its verdicts better.

    Attributes:
        task: the word of the task that trains the model, `classifier` say; None for a model of one's own.
        settings: of that task; options of the cell as `cell.init`.
        unrolled: steps of truncated BPTT; None where the gradient goes back to the start of every row.
        clip_norm: the longest gradient; None where none is clipped.
        needs: how many steps before an answer what decides it may stand, where that is known.
        history: what the log of its training tells.
        texts: of each step of the first row.
    """

    task: str | None = None
    settings: Mapping[str, Any] = {}
    unrolled: int | None = None
    clip_norm: float | None = None
    needs: int | None = None
    history: History | None = None
    texts: Sequence[str] | None = None

    @classmethod
    def of_task(
        cls, model: Task, run: Path | None = None, texts: Sequence[str] | None = None, needs: int | None = None
    ) -> "Facts":
        """Those of a task, and of its run folder where there is one.

        Raises:
            ValueError: the log in the folder cannot be read.
        """
        settings = flat(settings_of(model))
        log = run / LOG if run else None
        seen = history(log, model.clip_norm) if log and log.exists() else None
        return cls(model.task, settings, settings.get("steps"), model.clip_norm, needs, seen, texts)
