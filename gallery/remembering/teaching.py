"""One net is trained through its task, and the doctor looks at it on the way: always at the same rows, by the same
loss, which is that of the answers alone, and without a hand on the training."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from elman.doctor.capture import capture
from elman.doctor.gradient_by_lag import Lags, gradients_by_lag, horizon
from elman.tasks import Task
from elman.tasks.run import Run
from elman.training import Evaluation, Event, NonFinite, Update

EARLY = 200  # updates after which the horizon foretells what will be learnt
LOOKS = 1, EARLY  # updates at which the doctor looks; it also does at the end


class Taught(NamedTuple):
    """How a training went.

    Attributes:
        updates: that were made.
        solved: whether it stopped because the validation rows were.
        evaluations: of the validation rows, by update.
        curves: the gradient of the loss at a step with respect to all that the cell carried l steps before, by lag l,
            as a part of that at lag 0: one for each look. It is that of all rows together, as an update has it: where
            a relu is shut, a row has none at all, and a geometric mean would be zero.
        horizons: of these, in steps.
        usual_horizons: as the doctor has it: of the geometric mean over rows of the gradient with respect to h alone.
        failed: why the training broke off, where it did.
    """

    updates: int
    solved: bool
    evaluations: dict[int, float]
    curves: dict[str, list[float]]
    horizons: dict[str, float]
    usual_horizons: dict[str, float]
    failed: str | None


class Doctor:
    """An observer that looks at a task's net, by a loss of its own, at some updates."""

    def __init__(self, model: Task, loss: Callable[[], Tensor]):
        self.model, self.loss = model, loss
        self.updates, self.evaluations = 0, dict[int, float]()
        self.curves, self.horizons = dict[str, list[float]](), dict[str, float]()
        self.usual_horizons = dict[str, float]()

    def __call__(self, event: Event) -> None:
        self.updates = event.update
        if isinstance(event, Evaluation):
            self.evaluations[event.update] = round(event.evaluation, 5)
        elif isinstance(event, Update) and event.update in LOOKS:
            self.look(f"update {event.update}")

    def look(self, name: str) -> None:
        """The horizon of its recurrence; nothing where its loss is no number any more."""
        try:
            (trace,) = capture(self.model.net_, self.loss).traces
        except ValueError:
            return
        lags = gradients_by_lag(trace)
        whole = together(lags)
        self.curves[name], self.horizons[name] = whole.curve.tolist(), float(horizon(whole))
        self.usual_horizons[name] = float(horizon(lags))


def passes(settings: dict[str, Any], steps: int) -> int:
    """Epochs over data of so many steps that come nearest to the updates of `settings`."""
    return max(1, round(settings["updates"] * settings["batch_steps"] / steps))


def together(lags: Lags) -> Lags:
    """As if all steps were one: at each lag the sum of the gradients with respect to all that the cell carried, as a
    part of what the same steps had at lag 0."""
    there = ~np.isnan(lags.whole)
    sums = np.nansum(lags.whole, 0) / np.maximum((there * lags.whole[:, :1]).sum(0), np.finfo(float).tiny)
    return Lags(lags.steps[:1], sums[None], sums[None])


def teach(model: Task, training: Sequence[Any], validation: Any, loss: Callable[[], Tensor]) -> Taught:
    """Fit a task, stopping when it is solved.

    Args:
        training: the arguments of `fit`.
        validation: its validation data.
        loss: what the doctor looks at: that of the answers in some rows of the longest lag.
    """
    doctor, failed = Doctor(model, loss), None
    try:
        model.fit(*training, validation_data=validation, run=Run(observers=[doctor]))
    except NonFinite as error:
        failed = str(error)
    doctor.look("end")
    solved = model.until is not None and min(doctor.evaluations.values(), default=np.inf) <= model.until
    seen = doctor.evaluations, doctor.curves, doctor.horizons, doctor.usual_horizons
    return Taught(doctor.updates, solved, *seen, failed)
