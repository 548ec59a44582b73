"""Values of an examination: measurements of each recurrence and of the whole model, and verdicts."""

from typing import NamedTuple

from elman.cells import CellModule
from elman.doctor.bounds import Bound
from elman.doctor.context import Context
from elman.doctor.facts import Facts
from elman.doctor.gates import Gate
from elman.doctor.gradient_by_lag import Lags, horizon
from elman.doctor.jacobians import Jacobians
from elman.doctor.units import Units
from elman.representation import brief_fields

FAILING, WARNING, HEALTHY = "failing", "warning", "healthy"
LEVELS = (FAILING, WARNING, HEALTHY)

# keys of `Findings.seconds`
PASS, LAGS, JACOBIANS = "forward and backward pass", "gradient by lag", "products of Jacobians"
GATES, CONTEXT = "gates and units", "loss by context"


class Verdict(NamedTuple):
    """Conclusion of one rule.

    Attributes:
        rule: name of the rule.
        level: `failing` (keeps a model from learning), `warning` (may keep it from learning) or `healthy`.
        message: the place, the measurement and its meaning, in one or two sentences.
        remedy: change to make, ready to paste; None if nothing needs to change.
    """

    rule: str
    level: str
    message: str
    remedy: str | None = None


class CellInfo(NamedTuple):
    """Description of a cell; `str` returns it as `LSTM(64 -> 128)`.

    Attributes:
        class_name: such as `LSTM`.
        kind: name of an elman cell in settings and files, such as `lstm`; None for a user-defined cell.
        input_size, hidden_size, output_size: D, H and the size of the output.
        gate_names: gates in the row order of the weights.
        memory_gate: name of the gate that multiplies the previous state; None if there is none.
    """

    class_name: str
    kind: str | None
    input_size: int
    hidden_size: int
    output_size: int
    gate_names: tuple[str, ...] = ()
    memory_gate: str | None = None

    @classmethod
    def describe(cls, cell: CellModule) -> "CellInfo":
        hidden_size = getattr(cell, "hidden_size", cell.output_size)
        sizes = cell.input_size, hidden_size, cell.output_size
        return cls(type(cell).__name__, cell.kind, *sizes, cell.gate_names, cell.memory_gate)

    def __str__(self) -> str:
        return f"{self.class_name}({self.input_size} -> {self.output_size})"


@brief_fields
class Layer(NamedTuple):
    """Measurements of one recurrence.

    Attributes:
        name: path in the model; a layer and direction of a `torch.nn` layer ends in its suffix, such as `rnn.l0`.
        cell: its kind and sizes.
        longest: length of the longest row, in steps.
        supervised: fraction of the steps that the loss reaches directly, not only through later steps.
        lags: gradient at every lag.
        horizon, half_life, growth: statistics of the gradient, see `elman.doctor.gradient_by_lag`.
        jacobians: growth or decay of a small change of the state over many steps.
        bound: bound from the weights alone; None if none is known.
        gates: activations of each gate, by name.
        units: dead and saturated units, and the norm of the state along the rows.
        reversed: whether it reads rows from the last step to the first.
        path: path of the module that has its weights; empty if it is the whole model.
        suffix: ending of its weights' names in a `torch.nn` layer, such as `l0_reverse`; None for a cell.
    """

    name: str
    cell: CellInfo
    longest: int
    supervised: float
    lags: Lags
    horizon: float
    half_life: float
    growth: float
    jacobians: Jacobians
    bound: Bound | None
    gates: dict[str, Gate]
    units: Units
    reversed: bool = False
    path: str = ""
    suffix: str | None = None

    @property
    def reach(self) -> float:
        """Lag at which 1 % is left of the gradient at the first step back, in steps.

        Much of the gradient leaves through the output of the last step: in an LSTM it may be 99 %, while the rest goes
        back hundreds of steps. So the reach is measured from lag 1, and the horizon from lag 0.
        """
        lags = self.lags
        return 1 + horizon(Lags(lags.steps, lags.state_norms[:, 1:], lags.state_norms[:, 1:]))

    @property
    def memory_gate(self) -> Gate | None:
        """The gate that multiplies the previous state; None for a cell without one."""
        return None if self.cell.memory_gate is None else self.gates.get(self.cell.memory_gate)


@brief_fields
class Findings(NamedTuple):
    """Measurements of a model.

    Attributes:
        loss: loss on the data of the examination.
        layers: one per recurrence, in order of use.
        skipped: path of each recurrence that could not be examined, and the reason.
        context: loss by context; None if it was not requested.
        seconds: time of each measurement.
        facts: other known facts about the model.
    """

    loss: float
    layers: list[Layer]
    skipped: dict[str, str]
    context: Context | None
    seconds: dict[str, float]
    facts: Facts = Facts()
