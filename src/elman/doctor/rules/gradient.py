"""Rules about the gradient on its way back through time."""

import math

import numpy as np

from elman.doctor.examination import Examination, Layer
from elman.doctor.facts import Facts
from elman.doctor.remedies import longer_memory, shorter_gradient
from elman.doctor.rules.common import farthest, late, used
from elman.doctor.truncation import beyond
from elman.doctor.verdict import ILL, WARNING, Verdict
from elman.pictures.numbers import steps_text

ROW = 0.25  # of a row, which a gradient from its end should reach
FAST = 0.6  # of the gradient, left by each step: PyTorch starts an RNN with a spectral radius of 0.58
LONG = 16  # steps of a row, from which on it is asked what a gradient that fades so fast can learn
GROWN, BLOWN = 10.0, 1000.0  # times that a gradient grows on its way: what clipping can still mend, and what it cannot
LOST = 0.5  # of the gradient: the sum over lags has a long tail also in language models that are well


def vanishing(found: Examination, facts: Facts) -> Verdict | None:
    """The gradient is gone before it comes to what decides (Bengio et al. 1994).

    What decides is as far back as whoever knows the data says. Where nobody does: a loss at the end of rows should
    reach a quarter of them, and a gradient that loses four tenths at every step has left all but the next nine.
    What the model makes use of already it has learnt, however faint the gradient is by now.
    """
    layers = farthest(found)
    if not layers:
        return None
    layer = min(layers, key=lambda layer: layer.reach)
    learnt, level, why = max(layer.reach, used(found) or 0), None, f"rows are of up to {layer.longest} steps"
    if facts.needs is not None:
        if facts.needs > learnt:
            level = ILL if facts.needs > 2 * learnt else WARNING
            why = f"the answer lies up to {facts.needs} steps back"
    elif late(found, layer):
        if learnt < ROW * layer.longest:
            level, why = ILL, f"the loss comes at the end of rows of up to {layer.longest} steps"
    elif layer.growth < FAST and layer.longest >= LONG and learnt < LONG:
        level = WARNING
    if level is None:
        return None
    fades = f"the gradient halves every {steps_text(_halves(layer))} steps, and 1 % of it is left after"
    return Verdict(
        "vanishing", level, f"{layer.name}: {fades} {steps_text(layer.reach)}; {why}.", longer_memory(layer, facts)
    )


def exploding(found: Examination, facts: Facts) -> Verdict | None:
    """The gradient grows on its way back, ten times or a thousand, within the steps that training goes back."""
    grown = [(_peak(layer, facts), layer) for layer in found.layers]
    grown = [(peak, layer) for peak, layer in grown if peak > GROWN]
    if not grown:
        return None
    peak, layer = max(grown, key=lambda pair: pair[0])
    rate = f"{layer.growth:.2f} times a step" if layer.growth > 1.005 else "not at every step"
    most = "" if layer.bound is None or not layer.bound.factor > 1 else (
        f"; its weights allow {layer.bound.factor:.2f} times a step")  # fmt: skip
    says = f"{layer.name}: the gradient grows {peak:,.3g} times on its way back, {rate}{most}."
    return Verdict("exploding", ILL if peak > BLOWN else WARNING, says, shorter_gradient(layer, facts))


def truncation(found: Examination, facts: Facts) -> Verdict | None:
    """Truncated BPTT cuts off what would be learnt: a good part of the gradient, or the steps that matter.

    Of a gradient that explodes it cuts what nobody wants.
    """
    steps, layers = facts.unrolled, farthest(found)
    if steps is None or not layers or exploding(found, facts) is not None:
        return None
    layer = max(layers, key=lambda layer: layer.reach)
    share, known = _cut(layer, steps), facts.needs or used(found) or 0
    if known > steps:
        says = f"the loss needs {known} steps of context, and the gradient goes back {steps}"
    elif share > LOST:
        says = f"{share:.0%} of the gradient that {layer.name} sends back lies beyond the {steps} steps it is followed"
    else:
        return None
    wanted = max(known, min(layer.reach, 4 * steps))
    wanted = 2 * steps if not math.isfinite(wanted) or wanted <= steps else math.ceil(wanted / 10) * 10
    way = f"--set steps={wanted}" if facts.task else f"unroll {wanted} steps"
    return Verdict("truncation", WARNING, f"Truncation: {says}.", f"{way}, with fewer streams if memory is short")


def _cut(layer: Layer, steps: int) -> float:
    """The share of the gradient that lies so many steps back and further. Where twice as many were measured, no line is
    continued behind them: the end of a curve is noise."""
    curve = layer.lags.curve
    curve = curve[~np.isnan(curve)]
    if len(curve) < 2 * steps:
        return beyond(layer.lags, steps)
    return float(curve[steps:].sum() / curve.sum())


def _halves(layer: Layer) -> float:
    """Steps in which the gradient halves, on its way to where 1 % is left of it."""
    return (layer.reach - 1) / math.log2(100)


def _peak(layer: Layer, facts: Facts) -> float:
    """How many times larger the gradient is at some lag than where it came from."""
    curve = layer.lags.curve[: None if facts.unrolled is None else facts.unrolled + 1]
    return float(np.nanmax(curve)) if len(curve) and not np.isnan(curve).all() else 1.0


RULES = (vanishing, exploding, truncation)
