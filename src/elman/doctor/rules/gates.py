"""Rules about gates and units with a constant activation."""

from typing import NamedTuple

import numpy as np

from elman.doctor.findings import FAILING, WARNING, Findings, Layer, Verdict
from elman.doctor.gates import CLOSED, OPEN
from elman.doctor.remedies import halved, set_bias

MANY, ALL = 0.5, 0.9  # fractions of the units
DEAD, ALL_DEAD = 0.75, 0.95  # in a healthy ReLU net with identity initialisation, half of the units die
SHORT = 8  # with fewer steps in the first row, a constant gate is no evidence
EFFECTS = {
    ("input", "closed"): "no new input enters the cell state",
    ("output", "closed"): "the cell state never reaches the output",
}


class _Stuck(NamedTuple):
    share: float
    side: str  # open or closed
    gate: str
    layer: Layer


def stuck_gates(findings: Findings) -> Verdict | None:
    """Report gates that are closed, or open, at every step of a row: their gradient is almost zero, so they cannot
    learn.

    An input gate that opens at one step of a hundred is healthy. Forget gates that are always open are healthy in a
    cell with a separate input gate: an LSTM counts with them.
    """
    stuck = [one for layer in findings.layers for one in _stuck(layer)]
    if not stuck or (worst := max(stuck, key=lambda one: one.share)).share < MANY:
        return None
    share, side, gate, layer = worst
    keeps = "the state never changes" if side == "open" else "the state is overwritten at every step"
    effect = EFFECTS.get((gate, side), keeps)
    message = f"{layer.name}: the {gate} gate is {side} at every step in {share:.0%} of the units; {effect}."
    bias = set_bias(layer, gate, 0.0 if side == "open" else 1.0)
    remedy = (
        f"{halved('learning_rate', findings.facts)} and train again, or {bias}; check the scale of the layer's inputs"
    )
    return Verdict("stuck gates", FAILING if share >= ALL else WARNING, message, remedy)


def dead_units(findings: Findings) -> Verdict | None:
    """Report units whose output is the same at every step, such as ReLUs whose input is always negative."""
    shares = [(float(np.mean(layer.units.dead)), layer) for layer in findings.layers if len(layer.units.dead)]
    if not shares or (worst := max(shares, key=lambda pair: pair[0]))[0] < DEAD:
        return None
    share, layer = worst
    dead = f"{int(layer.units.dead.sum())} of {len(layer.units.dead)} units are dead"
    ways = [halved("learning_rate", findings.facts)]
    if layer.cell.kind == "rnn":
        ways.append("--set cell.activation=tanh" if findings.facts.task else "use tanh instead of ReLU")
    level = FAILING if share >= ALL_DEAD else WARNING
    message = f"{layer.name}: {dead}; their output is the same at every step and carries no information."
    return Verdict("dead units", level, message, ", or ".join(ways))


def saturated_units(findings: Findings) -> Verdict | None:
    """Report units that are at an end of their range most of the time, where the slope is at most a tenth of the
    largest."""
    shares = [(float(np.mean(layer.units.saturated)), layer) for layer in findings.layers if len(layer.units.saturated)]
    if not shares or (worst := max(shares, key=lambda pair: pair[0]))[0] < MANY:
        return None
    share, layer = worst
    message = (f"{layer.name}: {share:.0%} of the outputs are saturated (at an end of the activation's range), where "
               "almost no gradient passes.")  # fmt: skip
    slower = halved("learning_rate", findings.facts)
    remedy = f"standardise the layer's inputs to mean 0 and standard deviation 1, or {slower}"
    return Verdict("saturated units", FAILING if share >= ALL else WARNING, message, remedy)


def _stuck(layer: Layer) -> list[_Stuck]:
    """Return the fraction of the units whose gate never moves, for each gate and side on which that does harm."""
    memory_gate = layer.cell.memory_gate
    harmful = {("input", "closed"), ("output", "closed"), (memory_gate, "closed")}
    if "input" not in layer.gates:  # the memory gate also decides how much new input enters
        harmful.add((memory_gate, "open"))
    stuck = []
    for gate, measured in layer.gates.items():
        if len(measured.first_row) >= SHORT:
            stuck.append(_Stuck(float((measured.first_row < CLOSED).all(0).mean()), "closed", gate, layer))
            stuck.append(_Stuck(float((measured.first_row > OPEN).all(0).mean()), "open", gate, layer))
    return [one for one in stuck if (one.gate, one.side) in harmful]


RULES = (stuck_gates, dead_units, saturated_units)
