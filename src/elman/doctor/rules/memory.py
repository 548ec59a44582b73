"""Rules about the memory of the model, and its effect on the loss."""

import math

import numpy as np

from elman.doctor.findings import FAILING, WARNING, Findings, Layer, Verdict
from elman.doctor.remedies import longer_memory
from elman.doctor.rules.common import MATTERS, count_of, loss_at_end, memory_gain, used_context

LONG = 16  # steps in the shortest row in which growth of the state can be measured
GROWS, RUNS_AWAY = 4.0, 30.0  # growth of the state along the second half of the rows: a counter grows 2 or 3 times
SHORT = 0.5  # fraction of the needed steps; with a shorter half-life, memory decays to 1 % too early
FIRST = 0.5  # largest fraction of the memory that is left after one step
LASTING = 0.9  # quantile of the units: 90 % forget faster


def memory_unused(findings: Findings) -> Verdict | None:
    """Report a model whose loss with a context of one step is as low as with the full context, within 1 %."""
    context = findings.context
    if context is None or len(context.losses) < 2 or memory_gain(findings) is not None or misled(findings) is not None:
        return None
    message = (f"The model does not use its memory: the loss is {context.losses[0]:.4g} with a context of 1 step and "
               f"{context.full:.4g} with the full context.")  # fmt: skip
    window = "--set cell=window_net --set cell.window=1" if findings.facts.task else "a net without recurrence"
    remedy = f"if the loss is good, {window} is enough; if not, train longer and see the other verdicts"
    return Verdict("memory unused", WARNING, message, remedy)


def misled(findings: Findings) -> Verdict | None:
    """Report a model whose loss is lower with a shorter context, so that its memory does harm."""
    context = findings.context
    if context is None or not len(context.losses) or not np.isfinite(context.losses).any():
        return None
    best = int(np.nanargmin(context.losses))
    scale = max(abs(context.full), float(np.nanmax(np.abs(context.losses))))  # 5 % of a tiny loss does not matter
    if context.full - context.losses[best] <= 5 * MATTERS * scale:
        return None
    steps = count_of(int(context.lengths[best]), "step")
    message = (f"The model's memory misleads it: the loss is {context.losses[best]:.4g} with a context of {steps} and "
               f"{context.full:.4g} with the full context.")  # fmt: skip
    remedy = f"train longer, or on rows as long as these, or reset the state every {steps}"
    return Verdict("misled", WARNING, message, remedy)


def forgetting(findings: Findings) -> Verdict | None:
    """Report forget gates that are so nearly closed that even the units with the longest memory forget too early.

    The rule uses the mean activation, not the half-life: in healthy models many units sometimes erase their memory to
    separate one item from the next, which makes the half-life short.
    """
    gates = [(layer, layer.memory_gate.first_row.mean(0)) for layer in findings.layers if layer.memory_gate]
    if not gates or len(gates) < len(findings.layers):
        return None
    layer, kept = max(gates, key=lambda pair: float(np.quantile(pair[1], LASTING)))
    dependency = findings.facts.dependency
    if dependency is not None:
        needed, why = float(dependency), f"the output depends on inputs up to {dependency} steps back"
    elif loss_at_end(findings, layer):
        needed, why = layer.longest / 4, f"the loss is at the end of rows of up to {layer.longest} steps"
    else:
        return None
    if max(needed, 8) <= (used_context(findings) or 8):
        return None
    share = min(max(float(np.quantile(kept, LASTING)), 1e-6), 1 - 1e-6)
    half_life = math.log(0.5) / math.log(share)
    if half_life >= SHORT * needed / math.log2(100):  # until 1 % is left, as for the gradient's horizon
        return None
    message = (f"{layer.name}: the {layer.cell.memory_gate} gate erases memory too fast: in nine tenths of the units "
               f"it keeps {share:.0%} of the state per step, or less; {why}.")  # fmt: skip
    level = FAILING if share < FIRST else WARNING
    return Verdict("forgetting", level, message, longer_memory(layer, findings.facts))


def drift(findings: Findings) -> Verdict | None:
    """Report a state that keeps growing along the rows, beyond the range of values seen in training."""
    grown = [(_growth(layer), layer) for layer in findings.layers]
    if not grown or (most := max(grown, key=lambda pair: pair[0]))[0] < GROWS:
        return None
    times, layer = most
    facts = findings.facts
    message = (f"{layer.name}: the state drifts: its norm grows {times:,.3g} times along the second half of the rows "
               "and does not settle.")  # fmt: skip
    if layer.cell.memory_gate is not None:
        remedy = "train on rows as long as those at inference"
        remedy += "; --set cell.forget_gate=true" if facts.settings.get("cell.forget_gate") is False else ""
    elif facts.task:
        remedy = "--set cell.activation=tanh"
    else:
        remedy = "use tanh instead of ReLU, or scale the recurrent matrix down"
    return Verdict("drift", FAILING if times > RUNS_AWAY else WARNING, message, remedy)


def _growth(layer: Layer) -> float:
    """Return the growth factor of the state along the second half of the rows: the smaller of two estimates.

    One is the ratio of mean norms, the other the slope along each row. The longest rows are few, and the state has not
    settled in short ones.
    """
    sizes, part = layer.units.state_norm, max(len(layer.units.state_norm) // 8, 1)
    if len(sizes) < LONG or math.isnan(layer.units.norm_growth):
        return 1.0
    middle, end = float(np.mean(sizes[len(sizes) // 2 - part :][:part])), float(np.mean(sizes[-part:]))
    slope = math.exp(min(layer.units.norm_growth * len(sizes) / 2, 300.0))
    return min(slope, end / middle) if middle > 0 else slope


RULES = (memory_unused, misled, forgetting, drift)
