"""Products of Jacobians along real data: growth and decay of a small change of the state over many steps."""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from elman.doctor.directions import RESOLVED, backward, forward, orthonormal, orthonormalised, scaled, sizes
from elman.doctor.trace import Trace, probe_steps
from elman.representation import brief_fields

DENSE = 512  # largest number of values in a state for which the full product is computed
ROWS = 1024  # largest number of rows of the products of all trajectories together
DIRECTIONS = 8  # propagated instead of the full product
POWER = 16  # least number of steps back and forth that align those directions with the largest singular value
SPECTRUM = 64  # largest number of Lyapunov exponents


@brief_fields
class Jacobians(NamedTuple):
    """Singular values of the products back from a late step t, as geometric means over the rows that are long enough.

    Values that overflow float64, or underflow without being zero, are its largest or smallest positive number.

    Attributes:
        lags: [L] measured lags l: 1, 2, 4, 8, ..., and the longest.
        largest: [L] largest singular value of dh_t / dh_{t-l}; h is the first leaf of the state, the hidden state.
        smallest: [L] smallest singular value; NaN if not `exact`, or if less than 1e-13 of the largest, which float64
            cannot distinguish from zero.
        cell_largest, cell_smallest: [L] the same for dc_t / dc_{t-l}; c is the second leaf of the state, the cell state
            of an LSTM. None for a cell with one leaf.
        forget_product: [max lag + 1] gradient along the cell state that passes no other gate or weight: the product of
            the gates that multiply the previous state (the forget gates of an LSTM) over the lag, as a geometric mean
            over units and rows. All ones for an LSTM without forget gate; None for a cell without such a gate.
        lyapunov: [k] exponents of the whole state, in nats per step, largest first: the rates at which small changes
            grow (above zero: chaos) or decay; -inf for directions that a step maps to zero.
        exact: whether the full product was computed; if not, the largest are estimates.
    """

    lags: np.ndarray
    largest: np.ndarray
    smallest: np.ndarray
    cell_largest: np.ndarray | None
    cell_smallest: np.ndarray | None
    forget_product: np.ndarray | None
    lyapunov: np.ndarray
    exact: bool


def jacobians(trace: Trace, trajectories: int = 4, steps: int = 100) -> Jacobians:
    """Compute singular values of the products of Jacobians, and Lyapunov exponents.

    For up to 512 values in the state (an LSTM has two per unit) the full product is propagated back, exactly. Above
    that, the largest singular value is estimated from 8 directions that go back and forth (Halko et al. 2011,
    arXiv:0909.4061), lag after lag: never too large, and seldom more than a few per cent too small. In float64, with 4
    trajectories of 100 steps, one core takes 2 s for an LSTM of 128 units, 5 s for one of 256, 11 s for an LSTM or a
    GRU of 512.

    Args:
        trajectories: number of trajectories, in the rows that reach furthest; at most two if the state has 257 to 512
            values.
        steps: length of each, at most.
    """
    size = sum(sizes(trace.initial))
    exact, nothing = size <= DENSE, np.zeros(0)
    ends = _ends(trace, min(trajectories, ROWS // size) if exact and size else trajectories)
    if not size or not len(ends):
        return Jacobians(np.zeros(0, np.int64), nothing, nothing, None, None, None, nothing, exact)
    reach = np.minimum(trace.x.times[ends] + 1, steps)  # the state before the first step of a row counts
    lags = _lags(int(reach.max()))
    bounds = [0, *accumulate(sizes(trace.initial))]
    parts = [slice(first, last) for first, last in pairwise(bounds[:3]) if last > first]
    logs = (_dense if exact else _estimated)(trace, ends, reach, lags, parts)
    largest, smallest = ([_mean(part, reach >= lags[:, None]) for part in kind] for kind in logs)
    product, spectrum = _forget_product(trace, ends, reach), lyapunov_exponents(trace, ends, reach)
    of_cell = (largest[1], smallest[1]) if len(parts) == 2 else (None, None)
    return Jacobians(lags, largest[0], smallest[0], of_cell[0], of_cell[1], product, spectrum, exact)


def lyapunov_exponents(trace: Trace, ends: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return the exponents [k] of the whole state, in nats per step, largest first (Benettin et al. 1980).

    Directions are propagated backward and made orthonormal after every step: transposed, a product of Jacobians has the
    same exponents. The first quarter of each trajectory lets the directions settle and is not counted. For recurrent
    nets: Engelken et al. 2023, arXiv:2006.02427. A direction that a step maps to zero has the exponent -inf.

    Args:
        ends: [P] last step of each trajectory, numbers in [0, N).
        reach: [P] its length in steps.
    """
    n = sum(sizes(trace.initial))
    directions = orthonormal(min(n, SPECTRUM), len(ends), n)
    alive, total, counted = np.arange(len(ends)), np.zeros(len(directions)), 0
    for lag in range(1, int(reach.max()) + 1):
        going = reach[alive] >= lag
        alive, directions = alive[going], directions[:, going]
        directions, lengths = orthonormalised(backward(trace, ends[alive] - lag + 1, directions))
        settled = lag > reach[alive] // 4
        with np.errstate(divide="ignore"):
            total += np.log(lengths[settled]).sum(0)
        counted += int(settled.sum())
    return np.sort(total / counted)[::-1]


def _ends(trace: Trace, count: int) -> np.ndarray:
    """Return the last step of each trajectory [P]: steps that the loss reaches, or the ends of rows if it reaches
    none."""
    steps = probe_steps(trace, count)
    if len(steps):
        return steps
    rows = np.argsort(-trace.x.lengths, kind="stable")[:count]
    return trace.x.offsets[1:][rows[trace.x.lengths[rows] > 0]] - 1


def _lags(last: int) -> np.ndarray:
    powers = 2 ** np.arange(last.bit_length())
    return np.append(powers[powers < last], last)


def _dense(
    trace: Trace, ends: np.ndarray, reach: np.ndarray, lags: np.ndarray, parts: Sequence[slice]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of the largest and the smallest singular value of each part, exactly: [parts, L, P]
    both."""
    logs = np.full((2, len(parts), len(lags), len(ends)), np.nan)
    alive, scale = np.arange(len(ends)), torch.zeros(len(ends), dtype=torch.float64)
    product = torch.eye(sum(sizes(trace.initial)), dtype=torch.float64)[:, None].repeat(1, len(ends), 1)  # [n, P, n]
    for lag in range(1, int(lags[-1]) + 1):
        going = reach[alive] >= lag
        alive, product, scale = alive[going], product[:, going], scale[going]
        product, scale = scaled(backward(trace, ends[alive] - lag + 1, product), scale)
        if lag in lags:
            for number, part in enumerate(parts):
                extremes = np.array([_extremes(block) for block in product[part, :, part].transpose(0, 1)])
                logs[:, number, np.searchsorted(lags, lag), alive] = scale.numpy() + extremes.T
    return logs[0], logs[1]


def _estimated(
    trace: Trace, ends: np.ndarray, reach: np.ndarray, lags: np.ndarray, parts: Sequence[slice]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as `_dense`, estimated from a few directions; the smallest are NaN."""
    logs = np.full((len(parts), len(lags), len(ends)), np.nan)
    alive = np.arange(len(ends))
    # Directions at t; each lag starts from the directions that the lag before it found.
    inside = [orthonormal(min(DIRECTIONS, part.stop - part.start), len(ends), part.stop - part.start) for part in parts]
    for place, lag in enumerate(lags.tolist()):
        going = reach[alive] >= lag
        alive, inside = alive[going], [directions[:, going] for directions in inside]
        path = [ends[alive] - back for back in range(lag)]
        for _ in range(max(1, POWER // lag)):
            before, _ = _propagated(trace, backward, path, inside, parts)
            before = [orthonormalised(part)[0] for part in before]
            after, scale = _propagated(trace, forward, path[::-1], before, parts)
            inside = [orthonormalised(part)[0] for part in after]
        for number, part in enumerate(after):
            logs[number, place, alive] = scale + np.array([_extremes(block)[0] for block in part.transpose(0, 1)])
    return logs, np.full_like(logs, np.nan)


def _propagated(
    trace: Trace,
    propagate: Callable[..., Tensor],
    path: Sequence[np.ndarray],
    inside: Sequence[Tensor],
    parts: Sequence[slice],
) -> tuple[list[Tensor], np.ndarray]:
    """Propagate directions that start in each part of the state, and return their components in that part.

    Shapes:
        inside: [k, P, H] per part   ->   [k, P, H] per part, logarithm of their scale [P]
    """
    n, counts = sum(sizes(trace.initial)), [len(part) for part in inside]
    directions = torch.cat([F.pad(own, (part.start, n - part.stop)) for own, part in zip(inside, parts, strict=True)])
    scale = directions.new_zeros(directions.shape[1])
    for steps in path:
        directions, scale = scaled(propagate(trace, steps, directions), scale)
    pairs = zip(directions.split(counts), parts, strict=True)
    return [directions[:, :, part] for directions, part in pairs], scale.numpy()


def _extremes(block: Tensor) -> tuple[float, float]:
    """Return the logarithms of the largest and the smallest singular value: -inf for zero, NaN if not resolved."""
    values = torch.linalg.svdvals(block).numpy()
    with np.errstate(divide="ignore"):
        largest, smallest = np.log(values[0]), np.log(values[-1])
    if not (block.any(0).all() and block.any(1).all()):  # a row or a column of zeros
        return largest, -np.inf
    return largest, smallest if smallest > largest + np.log(RESOLVED) else np.nan


def _forget_product(trace: Trace, ends: np.ndarray, reach: np.ndarray) -> np.ndarray | None:
    memory_gate = trace.cell.memory_gate
    if memory_gate is None:
        return None
    lags = np.arange(reach.max())[:, None]
    reached = lags < reach  # [L, P]
    gates = trace.gate_activations((ends - lags)[reached])
    if memory_gate not in gates:  # an LSTM without forget gate keeps everything
        return np.ones(reach.max() + 1)
    logs = np.zeros(reached.shape)
    logs[reached] = gates[memory_gate].log().flatten(1).mean(1).numpy()
    return np.append(1.0, _mean(logs.cumsum(0), reached))


def _mean(logs: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """Average over the trajectories that reach each lag: [..., L, P] -> [..., L], with `reached` [L, P]."""
    means = np.where(reached, logs, 0).sum(-1) / reached.sum(-1)
    finite = np.finfo(np.float64)
    return np.where(means == -np.inf, 0, np.exp(means.clip(np.log(finite.tiny), np.log(finite.max))))
