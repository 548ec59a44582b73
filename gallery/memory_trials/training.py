"""Training of one net through its task with examinations on the way, always of the same rows with the same loss."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from elman.doctor.capture import capture
from elman.doctor.gradient_by_lag import Lags, gradients_by_lag, horizon
from elman.tasks import Task
from elman.tasks.run import Run
from elman.training import Evaluation, Event, NonFinite, Update

EARLY = 200  # updates after which the horizon may predict success
EXAMINED = 1, EARLY  # updates at which the net is examined; it is also examined at the end


class Course(NamedTuple):
    """Course of a training.

    Attributes:
        updates: number of updates.
        solved: whether it stopped because the validation rows were solved.
        evaluations: score of the validation rows, by update.
        curves: gradient of the loss with respect to the whole state l steps before, by lag l, relative to lag 0: one
            for each examination. It is the sum over rows, as in an update: a row whose ReLU is off has no gradient, and
            a geometric mean would be zero.
        horizons: of the curves, in steps.
        usual_horizons: as the doctor computes them: of the geometric mean over rows of the gradient with respect to h.
        failed: the error that ended the training, or None.
    """

    updates: int
    solved: bool
    evaluations: dict[int, float]
    curves: dict[str, list[float]]
    horizons: dict[str, float]
    usual_horizons: dict[str, float]
    failed: str | None


class Examiner:
    """Observer that examines a task's net at some updates, with its own loss."""

    def __init__(self, model: Task, loss: Callable[[], Tensor]):
        self.model, self.loss = model, loss
        self.updates, self.evaluations, self.solved = 0, dict[int, float](), False
        self.curves, self.horizons = dict[str, list[float]](), dict[str, float]()
        self.usual_horizons = dict[str, float]()

    def __call__(self, event: Event) -> None:
        self.updates = event.update
        if isinstance(event, Evaluation):
            self.evaluations[event.update] = round(event.score.value, 5)
            self.solved |= self.model.until is not None and event.score.reaches(self.model.until)
        elif isinstance(event, Update) and event.update in EXAMINED:
            self.examine(f"update {event.update}")

    def examine(self, name: str) -> None:
        """Record the horizon of the recurrence; nothing if the loss is not finite."""
        try:
            (trace,) = capture(self.model.net_, self.loss).traces
        except ValueError:
            return
        lags = gradients_by_lag(trace)
        total = summed(lags)
        self.curves[name], self.horizons[name] = total.curve.tolist(), float(horizon(total))
        self.usual_horizons[name] = float(horizon(lags))


def epochs_for(settings: dict[str, Any], steps: int) -> int:
    """Return the number of epochs over data of `steps` steps that comes nearest to the updates of `settings`."""
    return max(1, round(settings["updates"] * settings["batch_steps"] / steps))


def summed(lags: Lags) -> Lags:
    """Return a single curve: at each lag the sum over steps of the gradients with respect to the whole state, relative
    to the sum over the same steps at lag 0."""
    there = ~np.isnan(lags.state_norms)
    sums = np.nansum(lags.state_norms, 0) / np.maximum((there * lags.state_norms[:, :1]).sum(0), np.finfo(float).tiny)
    return Lags(lags.steps[:1], sums[None], sums[None])


def train_examined(model: Task, training: Sequence[Any], validation: Any, loss: Callable[[], Tensor]) -> Course:
    """Fit a task until it is solved, and examine it on the way.

    Args:
        training: the arguments of `fit`.
        validation: its validation data.
        loss: loss of the examinations: that of the targets in some rows of the longest lag.
    """
    examiner, failed = Examiner(model, loss), None
    try:
        model.fit(*training, validation_data=validation, run=Run(observers=[examiner]))
    except NonFinite as error:
        failed = str(error)
    examiner.examine("end")
    recorded = examiner.evaluations, examiner.curves, examiner.horizons, examiner.usual_horizons
    return Course(examiner.updates, examiner.solved, *recorded, failed)
