"""All that the doctor measures of a model, in one value."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from elman.doctor.bounds import Bound, bound
from elman.doctor.capture import capture
from elman.doctor.context import Context, loss_by_context
from elman.doctor.facts import Facts
from elman.doctor.gates import Gate, gates
from elman.doctor.horizon import growth, half_life, horizon
from elman.doctor.jacobians import Jacobians, jacobians
from elman.doctor.lags import Lags, gradients_by_lag
from elman.doctor.trace import Trace
from elman.doctor.units import Units, units

if TYPE_CHECKING:
    from elman.doctor.verdict import Verdict

PASS, LAGS, JACOBIANS = "forward and backward pass", "gradient by lag", "products of Jacobians"
GATES, CONTEXT = "gates and units", "loss by context"


class Layer(NamedTuple):
    """One recurrence.

    Attributes:
        name: its path in the model.
        kind: what it is, as `LSTM(64 -> 128)`.
        longest: steps of the longest row that it read.
        judged: the part of its steps that the loss reaches in another way than through the steps after them.
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
    judged: float
    lags: Lags
    horizon: float
    half_life: float
    growth: float
    jacobians: Jacobians
    bound: Bound | None
    gates: dict[str, Gate]
    units: Units

    @property
    def memory_gate(self) -> str | None:
        """The gate whose activation is the fraction of the state that a step keeps: forget, or update of a GRU."""
        return next((name for name, gate in self.gates.items() if gate.half_life is not None), None)

    @property
    def reach(self) -> float:
        """The horizon as seen from the first step back, in steps: where 1 % is left of the gradient that has entered
        the recurrence. The state of a step is shown at that step, and much of the gradient is gone with that: in an
        LSTM 99 % may be, whose rest goes back for hundreds of steps.
        """
        lags = self.lags
        return 1 + horizon(Lags(lags.steps, lags.whole[:, 1:], lags.whole[:, 1:]))


class Examination(NamedTuple):
    """What was found; `print` shows it in some twenty lines, and `save` writes it as a page or a picture.

    Attributes:
        loss: on the data that it was examined with.
        layers: one a recurrence, in the order of their use.
        unseen: of each recurrence that could not be examined, its path and why.
        context: the loss against how far back the model may look; None where it was not asked for.
        seconds: what each measure cost.
        facts: what else was known.
    """

    loss: float
    layers: list[Layer]
    unseen: dict[str, str]
    context: Context | None
    seconds: dict[str, float]
    facts: Facts = Facts()

    def verdicts(self) -> "list[Verdict]":
        """What is wrong, in words, with remedies; the worst first, and one that says so where all is well."""
        from elman.doctor.verdicts import verdicts

        return verdicts(self)

    def summary(self) -> str:
        """The verdicts, and a line for each layer."""
        from elman.doctor.summary import summary

        return summary(self)

    def save(self, path: str | Path, title: str = "") -> None:
        """Write a page for a browser (.html), or the picture alone (.png, .svg, .pdf); whole or not at all.

        Raises:
            ValueError: the name has another ending.
            OSError: it cannot be written.
            ModuleNotFoundError: matplotlib is not installed.
        """
        from elman.doctor.page import save

        save(self, Path(path), title)

    def __str__(self) -> str:
        return self.summary()


def examine(
    model: nn.Module,
    loss: Callable[[], Tensor],
    *,
    probes: int = 32,
    max_lag: int | None = 400,
    trajectories: int = 4,
    context: bool = True,
    facts: Facts | None = None,
    progress: Callable[[float], object] = lambda part: None,
) -> Examination:
    """Measure what the gradient, the gates and the state of a model do on real data.

    The model is in evaluation mode meanwhile, and nothing of it changes: it may be somebody else's module that holds
    recurrent layers of `torch.nn`.

    Args:
        loss: finds the loss of `model` on some data, a scalar tensor; called a few times.
        probes: steps that the gradient is followed back from.
        max_lag: steps that it is followed back; None goes to the start of every row.
        trajectories: rows along which products of Jacobians are followed, 4 to 12 s of a layer of 512 units; 0 for
            none.
        context: whether to find the loss for short contexts as well: it costs as much as all the rest.
        facts: what is known of its training, for better verdicts.
        progress: called with the part that is done, 0 to 1.
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
    with _timed(seconds, PASS):
        seen = capture(model, loss)
    layers: list[Layer] = []
    for trace in seen.traces:
        progress((1 + len(layers)) / (2 + len(seen.traces)))
        layers.append(_layer(trace, probes, max_lag, trajectories, seconds))
    found = None
    if context and layers:
        progress((1 + len(layers)) / (2 + len(seen.traces)))
        with _timed(seconds, CONTEXT):
            found = loss_by_context(model, loss)
    progress(1.0)
    return Examination(seen.loss, layers, seen.unseen, found, seconds, facts or Facts())


def _layer(trace: Trace, probes: int, max_lag: int | None, trajectories: int, seconds: dict[str, float]) -> Layer:
    with _timed(seconds, LAGS):
        lags = gradients_by_lag(trace, probes, max_lag)
    with _timed(seconds, JACOBIANS):
        products = jacobians(trace, trajectories)
    with _timed(seconds, GATES):
        opened, active = gates(trace), units(trace)
    kind = f"{type(trace.cell).__name__}({trace.cell.input_size} -> {trace.cell.output_size})"
    longest = int(trace.x.lengths.max(initial=0))
    judged = float((trace.gradient.abs().sum(1) > 0).double().mean()) if trace.x.num_steps else 0.0
    reach = horizon(lags), half_life(lags), growth(lags)
    return Layer(trace.name, kind, longest, judged, lags, *reach, products, bound(trace), opened, active)


@contextmanager
def _timed(seconds: dict[str, float], what: str) -> Iterator[None]:
    began = perf_counter()
    yield
    seconds[what] = seconds.get(what, 0.0) + perf_counter() - began
