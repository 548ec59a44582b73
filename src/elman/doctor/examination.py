"""All that the doctor measures of a model, in one value."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple

from torch import Tensor, nn

from elman.doctor.bounds import Bound, bound
from elman.doctor.capture import capture
from elman.doctor.context import Context, loss_by_context
from elman.doctor.gates import Gate, gates
from elman.doctor.horizon import growth, half_life, horizon
from elman.doctor.jacobians import Jacobians, jacobians
from elman.doctor.lags import Lags, gradients_by_lag
from elman.doctor.trace import Trace
from elman.doctor.units import Units, units


class Layer(NamedTuple):
    """One recurrence.

    Attributes:
        name: its path in the model.
        kind: what it is, as `LSTM(64 -> 128)`.
        longest: steps of the longest row that it read.
        lags: the gradient at every lag.
        horizon, half_life, growth: of the gradient, see `elman.doctor.horizon`.
        jacobians: what a step does to a small change of the state, and many steps.
        bound: what the weights alone say of it; None where no bound is known.
        gates: by name.
        units: those that are dead or saturated, and how the state drifts.
    """

    name: str
    kind: str
    longest: int
    lags: Lags
    horizon: float
    half_life: float
    growth: float
    jacobians: Jacobians
    bound: Bound | None
    gates: dict[str, Gate]
    units: Units


class Examination(NamedTuple):
    """What was found.

    Attributes:
        loss: on the data that it was examined with.
        layers: one a recurrence, in the order of their use.
        unseen: of each recurrence that could not be examined, its path and why.
        context: the loss against how far back the model may look; None where it was not asked for.
        seconds: what each measure cost.
    """

    loss: float
    layers: list[Layer]
    unseen: dict[str, str]
    context: Context | None
    seconds: dict[str, float]


def examine(
    model: nn.Module,
    loss: Callable[[], Tensor],
    *,
    probes: int = 32,
    max_lag: int | None = 400,
    context: bool = True,
) -> Examination:
    """Measure what the gradient, the gates and the state of a model do on real data.

    The model is in evaluation mode meanwhile, and nothing of it changes: it may be somebody else's module that holds
    recurrent layers of `torch.nn`.

    Args:
        loss: finds the loss of `model` on some data, a scalar tensor; called a few times.
        probes: steps that the gradient is followed back from.
        max_lag: steps that it is followed back; None goes to the start of every row.
        context: whether to find the loss for short contexts as well: it costs as much as all the rest.
    Raises:
        ValueError: there is no recurrence, or no loss that comes from one.
    Example:
        >>> import torch
        >>> net, x = torch.nn.LSTM(3, 8), torch.randn(20, 4, 3)
        >>> found = examine(net, lambda: net(x)[0][-1].square().mean())
        >>> [layer.kind for layer in found.layers]
        ['LSTM(3 -> 8)']
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "forward and backward pass"):
        seen = capture(model, loss)
    layers = [_layer(trace, probes, max_lag, seconds) for trace in seen.traces]
    found = None
    if context:
        with _timed(seconds, "loss by context"):
            found = loss_by_context(model, loss)
    return Examination(seen.loss, layers, seen.unseen, found, seconds)


def _layer(trace: Trace, probes: int, max_lag: int | None, seconds: dict[str, float]) -> Layer:
    with _timed(seconds, "gradient by lag"):
        lags = gradients_by_lag(trace, probes, max_lag)
    with _timed(seconds, "Jacobians"):
        products = jacobians(trace)
    with _timed(seconds, "gates and units"):
        opened, active = gates(trace), units(trace)
    kind = f"{type(trace.cell).__name__}({trace.cell.input_size} -> {trace.cell.output_size})"
    longest = int(trace.x.lengths.max(initial=0))
    reach = horizon(lags), half_life(lags), growth(lags)
    return Layer(trace.name, kind, longest, lags, *reach, products, bound(trace), opened, active)


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    began = perf_counter()
    yield
    seconds[what] = seconds.get(what, 0.0) + perf_counter() - began
