"""Gradient of a late loss with respect to earlier states, by lag: how it decays or grows (Bengio et al. 1994)."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman import state as states
from elman.doctor.trace import Trace, flat, float_leaves, probe_steps
from elman.representation import brief_fields
from elman.state import State

FAINT = 0.01  # fraction of the gradient at lag 0 that is left at the horizon
FLAT = 1e-9  # slopes below this are rounding errors


@brief_fields
class Lags(NamedTuple):
    """Gradient norms of the loss at some steps with respect to the states before them.

    Attributes:
        steps: [P] probed steps, numbers in [0, N).
        norms: [P, L + 1] |dL_t / dh_{t-l}| at lag l, where L_t is the part of the loss that reaches step t directly;
            NaN before the start of the row. h is the first leaf of the state: the hidden state.
        state_norms: [P, L + 1] the same with respect to the whole state, as the next step receives it.
    """

    steps: np.ndarray
    norms: np.ndarray
    state_norms: np.ndarray

    @property
    def curve(self) -> np.ndarray:
        """Geometric mean over the steps of `norms` relative to lag 0, [L + 1]; NaN at lags that no step reaches.

        An exact zero counts as the smallest positive float64.
        """
        with np.errstate(invalid="ignore", divide="ignore"):  # a cell whose gradient is zero from the start
            return _geometric_mean(self.norms / self.norms[:, :1])


def gradients_by_lag(trace: Trace, probes: int = 32, max_lag: int | None = None) -> Lags:
    """Compute exact gradients by lag, with one backward step of the cell per lag for all probes together.

    The cost is that of training on a batch of P rows of L steps, in float64 and a Python loop: 0.2 ms per lag for 32
    probes of an LSTM with 128 units, 3 ms with 512.

    Args:
        probes: number of steps from which the gradient is propagated back.
        max_lag: largest lag, in steps; None: back to the start of the longest row.
    """
    steps = probe_steps(trace, probes)
    lags = int(trace.x.times[steps].max(initial=0))
    lags = lags if max_lag is None else min(lags, max_lag)
    norms, state_norms = (np.full((len(steps), lags + 1), np.nan) for _ in range(2))
    alive = np.arange(len(steps))
    dy, dstate = _direct_gradients(trace, steps)
    for lag in range(lags + 1):
        if lag:
            dstate = step_back(trace, steps[alive] - lag + 1, dy, dstate)
            dy = torch.zeros_like(dy)
        hidden, total = (norm.nan_to_num(nan=torch.inf) for norm in _norms(dy, dstate))  # NaN: float64 overflowed
        norms[alive, lag], state_norms[alive, lag] = hidden.numpy(), total.numpy()
        going = trace.x.times[steps[alive] - lag] > 0
        if not going.any():
            break
        alive, dy, dstate = alive[going], dy[going], states.select(dstate, np.flatnonzero(going))
    return Lags(steps, norms, state_norms)


def step_back(trace: Trace, steps: np.ndarray, dy: Tensor, dstate: State) -> State:
    """Return the gradient with respect to the state before each step, given the gradients of its output and state."""
    before = states.detach(trace.before(steps))
    inputs = [leaf.requires_grad_() for leaf in float_leaves(before)]
    with torch.enable_grad():
        y, after = trace.cell.step(states.select(trace.x.values, steps), before)
    outputs = [(y, dy), *zip(states.leaves(after), states.leaves(dstate), strict=True)]
    outputs = [(output, gradient) for output, gradient in outputs if output.requires_grad]
    gradients = torch.autograd.grad(
        [output for output, _ in outputs],
        inputs,
        [gradient for _, gradient in outputs],
        materialize_grads=True,
    )
    rest = iter(gradients)
    return states.map(lambda leaf: next(rest) if leaf.is_floating_point() else torch.zeros_like(leaf), before)


def horizon(lags: Lags, faint: float = FAINT) -> float:
    """Return the lag at which a fraction `faint` of the gradient is left, in steps; infinity if it does not decay.

    If the measured curve does not fall that far, its second half is extrapolated as a straight line of its logarithm: a
    gradient that halves every 20 steps has a horizon of 133 steps, even in rows of 50. NaN if the loss reaches no step
    that has a predecessor.
    """
    logs = _log_curve(lags)
    if len(logs) < 2:
        return math.nan
    below = np.flatnonzero(logs < math.log(faint))
    if len(below):
        lag = int(below[0])
        over = logs[lag - 1] - math.log(faint)
        return float(lag - 1 + over / (logs[lag - 1] - logs[lag]))
    slope = _late_slope(logs)
    return math.inf if slope >= 0 else float(len(logs) - 1 + (logs[-1] - math.log(faint)) / -slope)


def half_life(lags: Lags) -> float:
    """Return the number of steps in which the gradient halves, from its mean slope up to the horizon; infinity if it
    does not decay."""
    logs = _log_curve(lags)
    below = np.flatnonzero(logs < math.log(FAINT))
    slope = _slope(logs[: below[0] + 1] if len(below) else logs)
    return math.inf if slope >= 0 else math.log(0.5) / slope


def growth(lags: Lags) -> float:
    """Return the mean factor of the gradient per step back, over all measured lags: above 1 it explodes."""
    return math.exp(_slope(_log_curve(lags)))


def truncated_share(lags: Lags, unrolled: int) -> float:
    """Return the fraction of the gradient, 0 to 1, that truncated BPTT cuts off at `unrolled` steps and beyond.

    The gradient of a loss is a sum over lags (Williams and Peng 1990). The fraction is that of the last step of a
    window of `unrolled` steps, for which it is smallest. The curve is extrapolated as for the horizon.

    Returns:
        1 if the gradient does not decay; NaN if the loss reaches no step that has a predecessor.
    """
    curve = lags.curve
    logs = np.log(np.maximum(curve[~np.isnan(curve)], np.finfo(np.float64).tiny))
    if len(logs) < 2:
        return math.nan
    slope = _late_slope(logs, flat=0.0)
    if slope >= 0:
        return 1.0
    logs = np.concatenate([logs, logs[-1] + slope * np.arange(1, unrolled - len(logs) + 1)])
    sizes = np.exp(logs - logs.max())
    rest = sizes[-1] / math.expm1(-slope)
    return float((sizes[unrolled:].sum() + rest) / (sizes.sum() + rest))


def _direct_gradients(trace: Trace, steps: np.ndarray) -> tuple[Tensor, State]:
    """Return the gradients that reach these steps directly: through their outputs, and at the end of a row through the
    final state."""
    rows = trace.x.rows[steps]
    last = torch.from_numpy(trace.x.times[steps] == trace.x.lengths[rows] - 1)
    final = states.select(trace.final_gradient, rows)
    return states.select(trace.gradient, steps), states.where(last, final, states.map(torch.zeros_like, final))


def _norms(dy: Tensor, dstate: State) -> tuple[Tensor, Tensor]:
    """Return the norms [P] of the gradient with respect to h, which is the cell's output too, and to the whole
    state."""
    first, *others = map(flat, float_leaves(dstate))
    hidden = (first + dy if first.shape == dy.shape else torch.cat([first, dy], 1)).norm(dim=1)
    squares = [leaf.square().sum(1) for leaf in others]
    return hidden, torch.stack([hidden.square(), *squares]).sum(0).sqrt()


def _geometric_mean(ratios: np.ndarray) -> np.ndarray:
    """Compute the geometric mean over the steps: [P, L] -> [L]."""
    logs = np.log(np.maximum(ratios, np.finfo(np.float64).tiny))
    counts = (~np.isnan(logs)).sum(0)
    means = np.nansum(logs, 0) / np.maximum(counts, 1)
    return np.where(counts, np.exp(means), np.nan)


def _log_curve(lags: Lags) -> np.ndarray:
    """Return the logarithm of the curve, up to its last lag."""
    curve = lags.curve
    limits = np.finfo(np.float64)
    return np.log(np.clip(curve[~np.isnan(curve)], limits.tiny, limits.max))


def _late_slope(logs: np.ndarray, flat: float = FLAT) -> float:
    """Return the slope of the second half of the curve, which extrapolates it."""
    return _slope(logs[len(logs) // 2 :] if len(logs) > 3 else logs, flat)


def _slope(logs: np.ndarray, flat: float = FLAT) -> float:
    """Return the slope per step of a straight line through the logarithms; NaN for a single point."""
    if len(logs) < 2:
        return math.nan
    slope = float(np.polyfit(np.arange(len(logs)), logs, 1)[0])
    return 0.0 if abs(slope) < flat else slope
