"""The doctor at the bedside: how far the gradient reaches and how open the gates are, while a net learns."""

import math
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor, nn

from elman.doctor.capture import capture
from elman.doctor.gates import gates
from elman.doctor.horizon import growth, half_life, horizon
from elman.doctor.lags import gradients_by_lag
from elman.doctor.trace import Trace
from elman.training.events import Event, Examined, Update

APART = 1.05  # an examination has at least so many times the updates of the one before it


class Watch:
    """An observer of a training that examines the net, and changes nothing: the weights are the same bits without it.

    It does so after the first update, and again where all that it has taken, and is going to take, is a small part of
    the training's time. The sample is the same each time, in evaluation mode. What it finds is an `Examined`: of each
    layer `horizon`, `half_life` and `growth` (see `elman.doctor.horizon`), and of each of its gates the mean opening as
    `forget_mean`, and the shares of gate_activations in 20 bins from shut to open as `forget_histogram`.

    An examination costs what some 15 updates cost: 0.3 seconds for 1000 steps of an LSTM of 128 units.

    Args:
        model: what to examine; None for the net that is trained.
        loss: finds the loss of `model` on a sample, as for `elman.doctor.examination.examine`; None for the training's
            loss of its first batch.
        cost: the part of the training's time that it may take; its first examination is done in any case.
        probes: steps that the gradient is followed back from.
        max_lag: steps that it is followed back; None goes to the start of every row.
    Raises:
        ValueError: at the first update: there is no recurrence, or no loss that comes from one.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        loss: Callable[[], Tensor] | None = None,
        cost: float = 0.05,
        probes: int = 8,
        max_lag: int | None = 200,
    ):
        if (model is None) != (loss is None):
            raise ValueError("Watch: expected a model and its loss, or neither of them, got one alone.")
        if not 0 < cost <= 1:
            raise ValueError(f"Watch: expected cost above 0 and at most 1, got {cost}.")
        self.model, self.loss, self.cost, self.probes, self.max_lag = model, loss, cost, probes, max_lag
        self.spent = 0.0  # seconds, of all examinations
        self._last, self._due, self._began = 0.0, 0, math.nan

    def begin(self, model: nn.Module, loss: Callable[[], Tensor]) -> None:
        """What is trained, and its loss on the first batch: told by the training."""
        if self.model is None:
            self.model, self.loss = model, loss

    def __call__(self, event: Event) -> Examined | None:
        if not isinstance(event, Update) or not self._is_due(event):
            return None
        began = perf_counter()
        layers = self._examine()
        self._last = perf_counter() - began
        self.spent += self._last
        self._due = math.ceil(APART * event.update)
        return None if layers is None else Examined(event.update, event.epoch, event.seconds, layers)

    def _is_due(self, event: Update) -> bool:
        if math.isnan(self._began):  # the first that it sees: also where a run goes on
            self._began = event.seconds
            return True
        return event.update >= self._due and self.spent + self._last <= self.cost * (event.seconds - self._began)

    def _examine(self) -> dict[str, dict[str, float | list[float]]] | None:
        """By layer; None where the loss is no longer finite, which the next update says better."""
        if self.model is None or self.loss is None:
            raise ValueError("Watch: expected a training that tells its model, or one of its own: Watch(model, loss).")
        given = self.loss

        def loss() -> Tensor:
            torch.default_generator.manual_seed(0)  # what is drawn is the same each time; `capture` puts it back
            return given()

        seen = capture(self.model, loss)
        if not math.isfinite(seen.loss):
            return None
        return {trace.name: self._found(trace) for trace in seen.traces}

    def _found(self, trace: Trace) -> dict[str, float | list[float]]:
        lags = gradients_by_lag(trace, self.probes, self.max_lag)
        found: dict[str, float | list[float]] = {
            "horizon": float(horizon(lags)),
            "half_life": half_life(lags),
            "growth": growth(lags),
        }
        for name, gate in gates(trace).items():
            found[f"{name}_mean"] = gate.mean
            found[f"{name}_histogram"] = [round(float(share), 4) for share in gate.histogram]
        return found
