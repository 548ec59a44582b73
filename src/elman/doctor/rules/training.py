"""Rules about the course of the training, from its log."""

import math

import numpy as np

from elman.doctor.facts import Facts, History
from elman.doctor.findings import FAILING, WARNING, Findings, Verdict
from elman.doctor.remedies import CLIP, halved

MOST = 0.5  # fraction of the updates
LARGE = {"adamw": 100.0, "rmsprop": 100.0}  # norm / clip_norm: these optimisers rescale gradients of any length
LARGE_ELSE = 10.0
SPIKE = 100.0  # times the median
ENOUGH = 100  # updates, after which the loss must have fallen
FALLEN = 0.02  # fraction of the loss


def non_finite(findings: Findings) -> Verdict | None:
    """Report a loss or a gradient that is not finite, now or in the log."""
    if not math.isfinite(findings.loss):
        message = (f"The loss is {findings.loss} on this data: the weights have become too large, or the data contain "
                   "values that are not finite.")  # fmt: skip
        return Verdict("non-finite", FAILING, message, _clip(findings.facts))
    history = findings.facts.history
    if not history or not history.non_finite:
        return None
    message = f"In {history.non_finite} of {len(history.updates)} updates the loss or the gradient was not finite."
    return Verdict("non-finite", FAILING, message, _clip(findings.facts))


def clipping(findings: Findings) -> Verdict | None:
    """Report clipping of most updates by a large factor: only the direction of the gradient is left, not its size."""
    facts, history = findings.facts, findings.facts.history
    large = LARGE.get(facts.settings.get("optimizer", ""), LARGE_ELSE)
    if history is None or history.clipped < MOST or history.clip_ratio < large:
        return None
    message = (f"{history.clipped:.0%} of the updates are clipped, and their gradients are {history.clip_ratio:.3g} "
               "times longer than the limit; every update has the same size.")  # fmt: skip
    usual = f"{float(np.median(history.norms)):.2g}"
    clip = f"clip at {usual}" if facts.task is None or facts.clip_norm is None else f"--set clip_norm={usual}"
    return Verdict("clipping", WARNING, message, f"{clip}, or {halved('learning_rate', facts)}")


def spikes(findings: Findings) -> Verdict | None:
    """Report unclipped gradients with a hundred times the usual norm: one such update can undo the training."""
    facts, history = findings.facts, findings.facts.history
    if facts.clip_norm is not None or not history or len(history.norms) < ENOUGH:
        return None
    usual = float(np.median(history.norms))
    largest = float(np.max(history.norms[np.isfinite(history.norms)], initial=0.0))
    if largest <= SPIKE * usual:
        return None
    message = f"The largest gradient norm was {largest / usual:,.3g} times the median, without clipping."
    return Verdict("spikes", WARNING, message, _clip(facts))


def not_falling(findings: Findings) -> Verdict | None:
    """Report a training loss that has not fallen by 2 % after a hundred updates."""
    facts, history = findings.facts, findings.facts.history
    if not history or len(history.losses) < ENOUGH:
        return None
    first, last = _ends(history)
    if first - last > FALLEN * abs(first):
        return None
    message = (f"The training loss does not fall: {first:.4g} in the first and {last:.4g} in the last of "
               f"{len(history.losses):,} updates.")  # fmt: skip
    rate = facts.settings.get("learning_rate")
    remedy = f"--set learning_rate={3 * rate:g}, or {rate / 3:g}" if facts.task and rate else (
        "multiply the learning rate by 3, or divide it by 3")  # fmt: skip
    return Verdict("not falling", WARNING, message, remedy)


def _ends(history: History) -> tuple[float, float]:
    """Return the median loss of the first tenth of the updates (at most 20) and of the last tenth."""
    tenth = len(history.losses) // 10
    return float(np.median(history.losses[: min(tenth, 20)])), float(np.median(history.losses[-tenth:]))


def _clip(facts: Facts) -> str:
    if facts.clip_norm is not None:
        return halved("learning_rate", facts)
    usual = float(np.median(facts.history.norms)) if facts.history and len(facts.history.norms) else 1.0
    limit = f"{2 * usual:.2g}" if np.isfinite(usual) else "1.0"
    return f"--set clip_norm={limit}" if facts.task else CLIP.format(limit)


RULES = (non_finite, clipping, spikes, not_falling)
