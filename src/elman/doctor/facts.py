"""Facts about a model that an examination cannot measure: its training, and the dependency length of its data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from elman.data.run_log import LOG, read_log
from elman.representation import brief_fields
from elman.settings import flat, settings_of
from elman.tasks import Task


@brief_fields
class History(NamedTuple):
    """Course of a training, with one entry per update.

    Attributes:
        updates: [U] numbers of the updates.
        losses: [U] in nats, or the unit of the loss.
        norms: [U] gradient norms before clipping.
        clipped: fraction of the updates whose gradient norm was above `clip_norm`; 0 without clipping.
        clip_ratio: median of gradient norm / `clip_norm` over the clipped updates; 1 if none was clipped.
        non_finite: number of updates whose loss or gradient norm is not finite.
        examined: the events `Examined` that the doctor logged during training, in order.
    """

    updates: np.ndarray
    losses: np.ndarray
    norms: np.ndarray
    clipped: float
    clip_ratio: float
    non_finite: int
    examined: list[dict[str, Any]]


@brief_fields
class Facts(NamedTuple):
    """Facts about a model; each known fact makes the verdicts more precise.

    Attributes:
        task: word of the task that trains the model, such as `classifier`; None for any other model.
        settings: settings of that task; those of the cell as `cell.init`.
        unrolled: length of the windows of truncated BPTT, in steps; None if gradients go back to the start of every
            row.
        clip_norm: largest gradient norm; None without clipping.
        dependency: longest distance, in steps, from an output back to the input that determines it; None if unknown.
        history: course of the training, from its log.
        texts: text of each step of the first row, to label pictures, by the path of the part of the model that reads
            it; the path of the whole model is empty.
        run: run folder of the training.
    """

    task: str | None = None
    settings: Mapping[str, Any] = {}
    unrolled: int | None = None
    clip_norm: float | None = None
    dependency: int | None = None
    history: History | None = None
    texts: Mapping[str, Sequence[str]] = {}
    run: Path | None = None

    def with_task(self, task: Task, texts: Mapping[str, Sequence[str]]) -> "Facts":
        """Return these facts with those about a task, and the history in the log of the run folder if it has one.

        Raises:
            ValueError: the log in the folder cannot be read.
        """
        settings = flat(settings_of(task))
        log = self.run / LOG if self.run else None
        history = read_history(log, task.clip_norm) if log and log.exists() else self.history
        return self._replace(task=task.task, settings=settings, unrolled=settings.get("steps"),
                             clip_norm=task.clip_norm, history=history, texts=texts)  # fmt: skip


def read_history(log: Path, clip_norm: float | None) -> History:
    """Read a `log.jsonl`; an incomplete last line, as a killed run leaves it, is ignored.

    Args:
        clip_norm: setting of the run. `clip_value` acts before it, so with both, `clipped` and `clip_ratio` are upper
            limits.
    Raises:
        FileNotFoundError: the file is missing.
        ValueError: a line is not a JSON object.
    """
    events = read_log(log)
    learnt = [event for event in events if "gradient_norm" in event]
    updates = np.array([event["update"] for event in learnt], np.int64)
    losses, norms = (np.array([event[name] for event in learnt], np.float64) for name in ("loss", "gradient_norm"))
    longest = np.inf if clip_norm is None else clip_norm
    ratios = norms[norms > longest] / longest
    return History(
        updates,
        losses,
        norms,
        clipped=len(ratios) / max(len(norms), 1),
        clip_ratio=float(np.median(ratios)) if len(ratios) else 1.0,
        non_finite=int((~np.isfinite(losses) | ~np.isfinite(norms)).sum()),
        examined=[event for event in events if "layers" in event],
    )
