"""Rules about the training that the log tells of."""

import math

import numpy as np

from elman.doctor.examination import Examination
from elman.doctor.facts import Facts
from elman.doctor.history import History
from elman.doctor.remedies import halved
from elman.doctor.verdict import ILL, WARNING, Verdict

MOST = 0.5  # of the updates
FAR = {"adamw": 100.0, "rmsprop": 100.0}  # how many times too long: those bring gradients of any length to one size
FAR_ELSE = 10.0
SPIKE = 100.0  # times the median
ENOUGH = 100  # updates, from which on it is asked whether anything is learnt
FALLEN = 0.02  # of the loss


def non_finite(found: Examination, facts: Facts) -> Verdict | None:
    """The loss, or a loss or a gradient of the log, is no number."""
    if not math.isfinite(found.loss):
        says = (
            f"The loss is {found.loss} on these data: weights have grown too far, or the data hold what is no number."
        )
        return Verdict("non-finite", ILL, says, _clip(facts))
    if not (past := facts.history) or not past.non_finite:
        return None
    says = f"{past.non_finite} of {len(past.updates)} updates had a loss or a gradient that is no finite number."
    return Verdict("non-finite", ILL, says, _clip(facts))


def clipping(found: Examination, facts: Facts) -> Verdict | None:
    """Most updates are clipped, and by ten times: only the direction of the gradient is left, not its size."""
    past = facts.history
    if past is None or past.clipped < MOST or past.cut < FAR.get(facts.settings.get("optimizer", ""), FAR_ELSE):
        return None
    says = f"Clipping acts on {past.clipped:.0%} of the updates, whose gradients are {past.cut:.3g} times too long"
    if facts.task is None or facts.clip_norm is None:
        way = f"clip at {float(np.median(past.norms)):.2g}, or {halved('learning_rate', facts)}"
    else:
        way = f"--set clip_norm={float(np.median(past.norms)):.2g}, or {halved('learning_rate', facts)}"
    return Verdict("clipping", WARNING, f"{says}.", way)


def spikes(found: Examination, facts: Facts) -> Verdict | None:
    """Without clipping, gradients a hundred times as long as usual throw away what was learnt."""
    if facts.clip_norm is not None or not (past := facts.history) or len(past.norms) < ENOUGH:
        return None
    usual = float(np.median(past.norms))
    largest = float(np.max(past.norms[np.isfinite(past.norms)], initial=0.0))
    if largest <= SPIKE * usual:
        return None
    says = f"The longest gradient was {largest / usual:,.3g} times as long as usual, and nothing clips it."
    return Verdict("spikes", WARNING, says, _clip(facts))


def not_falling(found: Examination, facts: Facts) -> Verdict | None:
    """After a hundred updates the loss is not lower by 2 % than it was in the first ones."""
    if not (past := facts.history) or len(past.losses) < ENOUGH:
        return None
    first, last = _ends(past)
    if first - last > FALLEN * abs(first):
        return None
    says = f"The loss was {first:.4g} in the first updates and {last:.4g} in the last ones of {len(past.losses):,}"
    rate = facts.settings.get("learning_rate")
    way = f"--set learning_rate={3 * rate:g}, or {rate / 3:g}" if facts.task and rate else (
        "three times the learning rate, or a third of it")  # fmt: skip
    return Verdict("not falling", WARNING, f"{says}: nothing was learnt.", way)


def _ends(past: History) -> tuple[float, float]:
    """The median loss of the first updates, a tenth of them but 20 at most, and of the last tenth."""
    tenth = len(past.losses) // 10
    return float(np.median(past.losses[: min(tenth, 20)])), float(np.median(past.losses[-tenth:]))


def _clip(facts: Facts) -> str:
    if facts.clip_norm is not None:
        return halved("learning_rate", facts)
    usual = float(np.median(facts.history.norms)) if facts.history and len(facts.history.norms) else 1.0
    limit = f"{2 * usual:.2g}" if np.isfinite(usual) else "1.0"
    return f"--set clip_norm={limit}" if facts.task else (
        f"torch.nn.utils.clip_grad_norm_(model.parameters(), {limit}) before each step of the optimiser")  # fmt: skip


RULES = (non_finite, clipping, spikes, not_falling)
