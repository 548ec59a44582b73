"""Rules about what the model remembers, and what that is worth."""

import math

import numpy as np

from elman.doctor.examination import Examination, Layer
from elman.doctor.facts import Facts
from elman.doctor.remedies import kind_of, longer_memory
from elman.doctor.rules.common import MATTERS, late, many, used, worth
from elman.doctor.verdict import ILL, WARNING, Verdict

LONG = 16  # steps of a row, from which on a drift can be told
DRIFTS, RUNS_AWAY = 4.0, 30.0  # times that the state grows along the second half of the rows: a counter makes 2 or 3
SHORT = 0.5  # of the steps that matter: half of the memory is gone by then where units keep it for less
FIRST = 0.5  # of the memory: what is left of it after one step, at most
LASTING = 0.9  # the part of the units that forget faster than the longest-lived ones


def memory_unused(found: Examination, facts: Facts) -> Verdict | None:
    """A context of one step is as good as the whole row: nothing is remembered that lowers the loss by 1 %."""
    seen = found.context
    if seen is None or len(seen.losses) < 2 or worth(found) is not None or misled(found, facts) is not None:
        return None
    says = f"The loss is as low with a context of 1 step ({seen.losses[0]:.4g}) as with all there is ({seen.whole:.4g})"
    way = "--set cell=window_net --set cell.window=1" if facts.task else "a net without a recurrence"
    return Verdict("memory unused", WARNING, f"{says}: the model makes no use of its memory.",
                   f"if the loss is good, {way} would do; if not, it has not learnt to remember: see the other lines "
                   "and train longer")  # fmt: skip


def misled(found: Examination, facts: Facts) -> Verdict | None:
    """A shorter context is better than all there is: what is carried along does harm."""
    seen = found.context
    if seen is None or not len(seen.losses) or not np.isfinite(seen.losses).any():
        return None
    best = int(np.nanargmin(seen.losses))
    scale = max(abs(seen.whole), float(np.nanmax(np.abs(seen.losses))))  # 5 % of next to nothing is no harm
    if seen.whole - seen.losses[best] <= 5 * MATTERS * scale:
        return None
    steps = many(int(seen.lengths[best]), "step")
    says = f"The loss is {seen.losses[best]:.4g} with a context of {steps} and {seen.whole:.4g} with all there is"
    way = f"train longer, or on rows as long as these, or start afresh every {steps}"
    return Verdict("misled", WARNING, f"{says}: what it carries along misleads it.", way)


def forgetting(found: Examination, facts: Facts) -> Verdict | None:
    """The memory gates are so far shut that even the units that remember longest forget what matters.

    The mean opening is asked, not the half-life: in good models many units wipe out their memory now and then, which
    makes the half-life short and is how they tell one thing from the next.
    """
    keeping = [(layer, layer.gates[gate].first_row.mean(0)) for layer in found.layers if (gate := layer.memory_gate)]
    if not keeping or len(keeping) < len(found.layers):
        return None
    layer, kept = max(keeping, key=lambda pair: float(np.quantile(pair[1], LASTING)))
    if facts.needs is not None:
        wanted, why = float(facts.needs), f"the answer lies up to {facts.needs} steps back"
    elif late(found, layer):
        wanted, why = layer.longest / 4, f"the loss comes at the end of rows of up to {layer.longest} steps"
    else:
        return None
    if max(wanted, 8) <= (used(found) or 8):
        return None
    share = min(max(float(np.quantile(kept, LASTING)), 1e-6), 1 - 1e-6)
    life = math.log(0.5) / math.log(share)
    if life >= SHORT * wanted / math.log2(100):  # to 1 % of it, as the gradient's horizon
        return None
    says = f"{layer.name}: nine tenths of the units keep {share:.0%} of their memory at a step, or less"
    level = ILL if share < FIRST else WARNING
    return Verdict("forgetting", level, f"{says}; {why}.", longer_memory(layer, facts))


def drift(found: Examination, facts: Facts) -> Verdict | None:
    """The state goes on growing along the rows, to numbers that no unit was trained with."""
    grown = [(_grown(layer), layer) for layer in found.layers]
    if not grown or (most := max(grown, key=lambda pair: pair[0]))[0] < DRIFTS:
        return None
    times, layer = most
    says = f"{layer.name}: the state grows {times:,.3g} times along the second half of the rows, and goes on"
    if kind_of(layer) in ("LSTM", "GRU", "MinGRU"):
        way = "train on rows as long as those that it will read"
        way += "; --set cell.forget_gate=true" if facts.settings.get("cell.forget_gate") is False else ""
    else:
        way = "--set cell.activation=tanh" if facts.task else "take tanh in place of relu, or shrink the recurrent matrix"
    return Verdict("drift", ILL if times > RUNS_AWAY else WARNING, f"{says}.", way)


def _grown(layer: Layer) -> float:
    """How many times the state grows along the second half of the rows, as its mean norm says, or as the slope along
    each row does: the smaller of the two, since the longest rows are few, and short ones have not come to rest."""
    sizes, part = layer.units.drift, max(len(layer.units.drift) // 8, 1)
    if len(sizes) < LONG or math.isnan(layer.units.growth):
        return 1.0
    middle, end = float(np.mean(sizes[len(sizes) // 2 - part :][:part])), float(np.mean(sizes[-part:]))
    slope = math.exp(min(layer.units.growth * len(sizes) / 2, 300.0))
    return min(slope, end / middle) if middle > 0 else slope


RULES = (memory_unused, misled, forgetting, drift)
