"""Units of a recurrence on real data: dead units, saturated units, and growth of the state along the rows."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman import state as states
from elman.cells import CellModule
from elman.doctor.trace import Trace, flat, float_leaves
from elman.representation import brief_fields

STILL = 1e-6  # largest range of a dead unit's output
SATURATED = 0.95  # fraction of the largest possible output
PLACES = 1000  # largest number of steps in `state_norm`
CHUNK = 1 << 20  # outputs that are computed at once


@brief_fields
class Units(NamedTuple):
    """Units of one recurrence.

    Attributes:
        dead: [H] whether the output of a unit is the same at every step (within 1e-6), as of a ReLU that is always 0.
        saturated: [H] fraction of steps at which the output is above 0.95 or below -0.95 (tanh, LSTM, GRU), above 0.95
            or below 0.05 (sigmoid); 0 for a cell whose output has no bounds.
        state_norm: [T] norm of the whole state after each step of a row, the mean over the rows with that step;
            T is at most 1000.
        norm_growth: slope of ln(norm) per step over the second half of every row: 0 for a state that has settled, above
            0 for one that keeps growing; NaN if no row has two steps there.
    """

    dead: np.ndarray
    saturated: np.ndarray
    state_norm: np.ndarray
    norm_growth: float


def units(trace: Trace) -> Units:
    """Measure the units, with one step of the cell for all steps together: 60 ms for 2000 steps of 128 LSTM units."""
    x, cell = trace.x, trace.cell
    norms, lowest, highest, counts = [], [], [], []
    for steps in np.array_split(np.arange(x.num_steps), 1 + x.num_steps * cell.output_size // CHUNK):
        with torch.no_grad():
            y, _ = cell.step(states.select(x.values, steps), trace.before(steps))
        squares = [flat(leaf).square().sum(1) for leaf in float_leaves(states.select(trace.after, steps))]
        norms.append(torch.stack(squares).sum(0).sqrt().numpy())
        y = y.flatten(1)
        counts.append(_saturated(cell, y).sum(0).numpy())
        if len(y):
            lowest.append(y.amin(0).numpy())
            highest.append(y.amax(0).numpy())
    output_range = np.max(highest, 0) - np.min(lowest, 0) if x.num_steps > 1 else np.full(cell.output_size, np.inf)
    norm = np.concatenate(norms)
    state_norm = np.bincount(x.times, norm) / np.maximum(np.bincount(x.times), 1)
    saturated = np.sum(counts, 0) / max(x.num_steps, 1)
    return Units(output_range < STILL, saturated, state_norm[:PLACES], _norm_growth(trace, norm))


def _saturated(cell: CellModule, y: Tensor) -> Tensor:
    """Return whether each output is near an end of its range, bool [N, H]."""
    activation = getattr(cell, "activation", "tanh" if cell.kind in ("lstm", "gru") else None)
    if activation == "sigmoid":
        return (y > SATURATED) | (y < 1 - SATURATED)
    return y.abs() > SATURATED if activation == "tanh" else torch.zeros_like(y, dtype=torch.bool)


def _norm_growth(trace: Trace, norm: np.ndarray) -> float:
    """Return the common slope of straight lines through ln(norm), one per row."""
    x = trace.x
    late = (norm > 0) & (2 * x.times >= x.lengths[x.rows])
    rows, times, logs = x.rows[late], x.times[late].astype(np.float64), np.log(norm[late])
    count = np.maximum(np.bincount(rows, minlength=len(x)), 1)
    times -= (np.bincount(rows, times, len(x)) / count)[rows]
    spread = (times**2).sum()
    return float((times * logs).sum() / spread) if spread else float("nan")
