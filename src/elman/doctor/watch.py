"""Examination during training: reach of the gradient and activation of the gates, update by update."""

import math
from collections.abc import Callable
from time import perf_counter

import torch
from torch import Tensor, nn

from elman.doctor.capture import capture
from elman.doctor.gates import gates
from elman.doctor.gradient_by_lag import gradients_by_lag, growth, half_life, horizon
from elman.doctor.trace import Trace
from elman.training.events import Event, Examined, Update

APART = 1.05  # smallest ratio of the update numbers of two consecutive examinations


class Watch:
    """Observer that examines the model during training; it does not change a bit of the trained weights.

    It examines the model after the first update, and again whenever the total time of its examinations stays a small
    fraction of the training time. The sample is the same each time, in evaluation mode. It returns an `Examined` event
    with, for each layer, `horizon`, `half_life` and `growth` (see `elman.doctor.gradient_by_lag`), and for each gate
    its mean activation (`forget_mean`) and the fractions of its activations in 20 bins from closed to open
    (`forget_histogram`).

    An examination takes as long as about 15 updates: 0.3 seconds for 1000 steps of an LSTM of 128 units.

    Args:
        model: model to examine; None for the one that is trained.
        loss: computes the loss of `model` on a sample, as for `elman.doctor.examine`; None for the training loss of the
            first batch.
        cost: largest fraction of the training time, above 0 and at most 1; the first examination always takes place.
        probes: number of steps from which the gradient is propagated back.
        max_lag: largest lag, in steps; None: back to the start of every row.
    Raises:
        ValueError: at the first update, the model has no recurrence, or the loss does not depend on one.
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
            raise ValueError("Watch: expected both model and loss, or neither, got only one.")
        if not 0 < cost <= 1:
            raise ValueError(f"Watch: expected cost above 0 and at most 1, got {cost}.")
        self.model, self.loss, self.cost, self.probes, self.max_lag = model, loss, cost, probes, max_lag
        self.spent = 0.0  # seconds, of all examinations
        self._last, self._due, self._began = 0.0, 0, math.nan

    def begin(self, model: nn.Module, loss: Callable[[], Tensor]) -> None:
        """Receive the model that is trained, and its loss on the first batch."""
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
        if math.isnan(self._began):  # the first event, of a resumed run too
            self._began = event.seconds
            return True
        return event.update >= self._due and self.spent + self._last <= self.cost * (event.seconds - self._began)

    def _examine(self) -> dict[str, dict[str, float | list[float]]] | None:
        """Return the statistics of each layer; None if the loss is not finite, which the next update reports better."""
        if self.model is None or self.loss is None:
            raise ValueError(
                "Watch: expected a model, got none; call begin(model, loss) first, or use Watch(model, loss)."
            )
        unseeded = self.loss

        def loss() -> Tensor:
            torch.default_generator.manual_seed(0)  # the same random numbers each time; `capture` restores the state
            return unseeded()

        captured = capture(self.model, loss)
        if not math.isfinite(captured.loss):
            return None
        return {trace.name: self._statistics(trace) for trace in captured.traces}

    def _statistics(self, trace: Trace) -> dict[str, float | list[float]]:
        lags = gradients_by_lag(trace, self.probes, self.max_lag)
        statistics: dict[str, float | list[float]] = {
            "horizon": float(horizon(lags)),
            "half_life": half_life(lags),
            "growth": growth(lags),
        }
        for name, gate in gates(trace).items():
            statistics[f"{name}_mean"] = gate.mean
            statistics[f"{name}_histogram"] = [round(float(share), 4) for share in gate.histogram]
        return statistics
