"""Rules about the gradient along time: vanishing, exploding, truncated."""

import math

import numpy as np

from elman.doctor.findings import FAILING, WARNING, Findings, Layer, Verdict
from elman.doctor.gradient_by_lag import truncated_share
from elman.doctor.remedies import longer_memory, shorter_gradient
from elman.doctor.rules.common import farthest, loss_at_end, used_context
from elman.pictures.numbers import steps_text

ROW = 0.25  # fraction of a row that a gradient from its end should reach
FAST = 0.6  # fraction of the gradient left after a step: PyTorch initialises an RNN with a spectral radius of 0.58
LONG = 16  # steps in the shortest row for which a gradient that decays this fast is a problem
GROWS, EXPLODES = 10.0, 1000.0  # growth of a gradient that clipping can limit, and growth that it cannot
TRUNCATED = 0.5  # fraction of the gradient; the sum over lags has a long tail in healthy language models too


def vanishing(findings: Findings) -> Verdict | None:
    """Report a gradient that vanishes before it reaches the input that determines the output (Bengio et al. 1994).

    The distance is `facts.dependency` if it is known. If not, a loss at the end of rows should reach a quarter of each
    row, and a gradient that loses four tenths per step is too short for rows of 16 steps and more. A context that the
    model already uses counts as reached, even if the gradient is faint by now.
    """
    layers, facts = farthest(findings), findings.facts
    if not layers:
        return None
    layer = min(layers, key=lambda layer: layer.reach)
    learnt, level, why = max(layer.reach, used_context(findings) or 0), None, f"rows have up to {layer.longest} steps"
    if facts.dependency is not None:
        if facts.dependency > learnt:
            level = FAILING if facts.dependency > 2 * learnt else WARNING
            why = f"the output depends on inputs up to {facts.dependency} steps back"
    elif loss_at_end(findings, layer):
        if learnt < ROW * layer.longest:
            level, why = FAILING, f"the loss is at the end of rows of up to {layer.longest} steps"
    elif layer.growth < FAST and layer.longest >= LONG and learnt < LONG:
        level = WARNING
    if level is None:
        return None
    decay = f"the gradient vanishes: it halves every {steps_text(_half_life(layer))} steps, and 1 % is left after"
    message = f"{layer.name}: {decay} {steps_text(layer.reach)} steps; {why}."
    return Verdict("vanishing", level, message, longer_memory(layer, facts))


def exploding(findings: Findings) -> Verdict | None:
    """Report a gradient that grows ten or a thousand times in the backward pass, within the unrolled steps."""
    grown = [(_peak(layer, findings.facts.unrolled), layer) for layer in findings.layers]
    grown = [(peak, layer) for peak, layer in grown if peak > GROWS]
    if not grown:
        return None
    peak, layer = max(grown, key=lambda pair: pair[0])
    rate = f"{layer.growth:.2f} times per step" if layer.growth > 1.005 else "not at every step"
    bound = "" if layer.bound is None or not layer.bound.factor > 1 else (
        f"; its weights allow {layer.bound.factor:.2f} times per step")  # fmt: skip
    message = f"{layer.name}: the gradient explodes: it grows {peak:,.3g} times in the backward pass, {rate}{bound}."
    level = FAILING if peak > EXPLODES else WARNING
    return Verdict("exploding", level, message, shorter_gradient(layer, findings.facts))


def truncation(findings: Findings) -> Verdict | None:
    """Report truncated BPTT that cuts off half of the gradient, or steps that the loss depends on.

    Truncation helps against an exploding gradient, which `exploding` reports.
    """
    facts, layers = findings.facts, farthest(findings)
    steps = facts.unrolled
    if steps is None or not layers or exploding(findings) is not None:
        return None
    layer = max(layers, key=lambda layer: layer.reach)
    share, known = _truncated(layer, steps), facts.dependency or used_context(findings) or 0
    if known > steps:
        problem = f"the loss needs a context of {known} steps, but the gradient is propagated back only {steps}"
    elif share > TRUNCATED:
        problem = f"{share:.0%} of the gradient in {layer.name} lies more than the {steps} unrolled steps back"
    else:
        return None
    wanted = max(known, min(layer.reach, 4 * steps))
    wanted = 2 * steps if not math.isfinite(wanted) or wanted <= steps else math.ceil(wanted / 10) * 10
    remedy = f"--set steps={wanted}" if facts.task else f"unroll {wanted} steps"
    remedy += ", with fewer streams if memory is short"
    return Verdict("truncation", WARNING, f"Truncated BPTT is too short: {problem}.", remedy)


def _truncated(layer: Layer, steps: int) -> float:
    """Return the fraction of the gradient at `steps` lags and beyond.

    If twice as many lags were measured, the curve is not extrapolated: its end is noise.
    """
    curve = layer.lags.curve
    curve = curve[~np.isnan(curve)]
    if len(curve) < 2 * steps:
        return truncated_share(layer.lags, steps)
    return float(curve[steps:].sum() / curve.sum())


def _half_life(layer: Layer) -> float:
    """Return the mean half-life of the gradient, in steps, until 1 % of it is left."""
    return (layer.reach - 1) / math.log2(100)


def _peak(layer: Layer, unrolled: int | None) -> float:
    """Return the largest gradient at any lag, relative to lag 0."""
    curve = layer.lags.curve[: None if unrolled is None else unrolled + 1]
    return float(np.nanmax(curve)) if len(curve) and not np.isnan(curve).all() else 1.0


RULES = (vanishing, exploding, truncation)
