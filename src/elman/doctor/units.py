"""What the units of a recurrence do on real data: which are dead or saturated, and whether the state drifts away."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman import state as states
from elman.cells import GRU, LSTM, CellModule
from elman.doctor.trace import Trace, flat, numbers

STILL = 1e-6  # range of what a dead unit writes
SATURATED = 0.95  # of the largest number that a unit can write
PLACES = 1000  # of the drift, at most
CHUNK = 1 << 20  # numbers that are written at once


class Units(NamedTuple):
    """The units of one recurrence.

    Attributes:
        dead: [H] whether a unit writes the same number at every step (within 1e-6), as a relu does that is always shut.
        saturated: [H] share of steps at which it writes more than 0.95 or less than -0.95 (tanh, LSTM, GRU), more than
            0.95 or less than 0.05 (sigmoid); 0 where what it writes has no bounds.
        drift: [T] the norm of the whole state after so many steps of a row, the mean of the rows that are as long;
            T is 1000 at most.
        growth: the slope of ln(norm) a step over the second half of every row: 0 for a state that has settled, above 0
            for one that drifts away; NaN where no row has two steps there.
    """

    dead: np.ndarray
    saturated: np.ndarray
    drift: np.ndarray
    growth: float


def units(trace: Trace) -> Units:
    """It costs one step of the cell for all steps together, in float64: 60 ms for 2000 of an LSTM of 128 units."""
    x, cell = trace.x, trace.cell
    norms, lowest, highest, counts = [], [], [], []
    for steps in np.array_split(np.arange(x.num_steps), 1 + x.num_steps * cell.output_size // CHUNK):
        with torch.no_grad():
            y, _ = cell.step(states.select(x.values, steps), trace.before(steps))
        squares = [flat(leaf).square().sum(1) for leaf in numbers(states.select(trace.after, steps))]
        norms.append(torch.stack(squares).sum(0).sqrt().numpy())
        y = y.flatten(1)
        counts.append(_saturated(cell, y).sum(0).numpy())
        if len(y):
            lowest.append(y.amin(0).numpy())
            highest.append(y.amax(0).numpy())
    written = np.max(highest, 0) - np.min(lowest, 0) if x.num_steps > 1 else np.full(cell.output_size, np.inf)
    norm = np.concatenate(norms)
    drift = np.bincount(x.times, norm) / np.maximum(np.bincount(x.times), 1)
    return Units(written < STILL, np.sum(counts, 0) / max(x.num_steps, 1), drift[:PLACES], _growth(trace, norm))


def _saturated(cell: CellModule, y: Tensor) -> Tensor:
    """[N, H] of truth."""
    activation = getattr(cell, "activation", "tanh" if isinstance(cell, LSTM | GRU) else None)
    if activation == "sigmoid":
        return (y > SATURATED) | (y < 1 - SATURATED)
    return y.abs() > SATURATED if activation == "tanh" else torch.zeros_like(y, dtype=torch.bool)


def _growth(trace: Trace, norm: np.ndarray) -> float:
    """The slope of the straight lines through ln(norm), one a row, that have a slope in common."""
    x = trace.x
    late = (norm > 0) & (2 * x.times >= x.lengths[x.rows])
    rows, times, logs = x.rows[late], x.times[late].astype(np.float64), np.log(norm[late])
    count = np.maximum(np.bincount(rows, minlength=len(x)), 1)
    times -= (np.bincount(rows, times, len(x)) / count)[rows]
    spread = (times**2).sum()
    return float((times * logs).sum() / spread) if spread else float("nan")
