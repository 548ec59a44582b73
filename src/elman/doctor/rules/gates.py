"""Rules about gates and units that do not move."""

from typing import NamedTuple

import numpy as np

from elman.doctor.examination import Examination, Layer
from elman.doctor.facts import Facts
from elman.doctor.gates import OPEN, SHUT
from elman.doctor.remedies import halved, kind_of, raise_bias
from elman.doctor.verdict import ILL, WARNING, Verdict

MANY, ALL = 0.5, 0.9  # of the units
DEAD, ALL_DEAD = 0.75, 0.95  # of a relu that starts from the identity, and is well, half of the units die
SHORT = 8  # steps of the first row, below which nothing can be said of gates that do not move


class _Stuck(NamedTuple):
    share: float
    way: str  # open or shut
    gate: str
    layer: Layer


def stuck_gates(found: Examination, facts: Facts) -> Verdict | None:
    """Gates that are shut, or open, at every step of a row: nothing moves them, and nothing can teach them to.

    An input gate that opens at one step of a hundred is well: it is not counted. Nor are forget gates that are always
    open beside an input gate of their own, which is how an LSTM counts.
    """
    stuck = [one for layer in found.layers for one in _stuck(layer)]
    if not stuck or (worst := max(stuck, key=lambda one: one.share)).share < MANY:
        return None
    share, way, gate, layer = worst
    effect = {
        "input": "nothing new comes in",
        "output": "nothing of it is shown",
        "reset": "nothing of the state is read",
    }
    comes = effect.get(gate, "nothing new comes in" if way == "open" else "nothing is kept")
    says = f"{layer.name}: the {gate} gates of {share:.0%} of the units are {way} at every step: {comes}."
    back = raise_bias(layer, gate, 0.0 if way == "open" else 1.0)
    remedy = f"{halved('learning_rate', facts)} and train anew, or {back}; look at the scale of what the layer reads"
    return Verdict("stuck gates", ILL if share >= ALL else WARNING, says, remedy)


def dead_units(found: Examination, facts: Facts) -> Verdict | None:
    """Units that write the same number at every step, as a relu does whose input is always below zero."""
    shares = [(float(np.mean(layer.units.dead)), layer) for layer in found.layers if len(layer.units.dead)]
    if not shares or (worst := max(shares, key=lambda pair: pair[0]))[0] < DEAD:
        return None
    share, layer = worst
    says = f"{layer.name}: {int(layer.units.dead.sum())} of {len(layer.units.dead)} units are dead"
    ways = [halved("learning_rate", facts)]
    if kind_of(layer) == "RNN":
        ways.append("--set cell.activation=tanh" if facts.task else 'nonlinearity="tanh" in place of relu')
    level = ILL if share >= ALL_DEAD else WARNING
    return Verdict("dead units", level, f"{says}: they write the same number at every step.", ", or ".join(ways))


def saturated_units(found: Examination, facts: Facts) -> Verdict | None:
    """Units that are at the end of their range most of the time, where the slope is a tenth of the largest or less."""
    shares = [(float(np.mean(layer.units.saturated)), layer) for layer in found.layers if len(layer.units.saturated)]
    if not shares or (worst := max(shares, key=lambda pair: pair[0]))[0] < MANY:
        return None
    share, layer = worst
    says = f"{layer.name}: {share:.0%} of what it writes is at the end of its range: no gradient comes through there"
    way = f"bring what it reads to a mean of 0 and a deviation of 1, {halved('learning_rate', facts)}"
    return Verdict("saturated units", ILL if share >= ALL else WARNING, f"{says}.", way)


def _stuck(layer: Layer) -> list[_Stuck]:
    """The share of the units whose gate never moves, for each way in which that does harm."""
    harmful = {("input", "shut"), ("output", "shut"), (layer.memory_gate, "shut")}
    if "input" not in layer.gates:  # what is kept leaves no room for what is new
        harmful.add((layer.memory_gate, "open"))
    found = []
    for gate, seen in layer.gates.items():
        if len(seen.first_row) >= SHORT:
            found.append(_Stuck(float((seen.first_row < SHUT).all(0).mean()), "shut", gate, layer))
            found.append(_Stuck(float((seen.first_row > OPEN).all(0).mean()), "open", gate, layer))
    return [one for one in found if (one.gate, one.way) in harmful]


RULES = (stuck_gates, dead_units, saturated_units)
