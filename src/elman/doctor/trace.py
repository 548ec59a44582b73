"""What a recurrence read and did on real data, and the gradient that the loss sent back into it.

Everything that the doctor measures is computed from traces, in float64: a gradient that has shrunk 10^60 times is still
a number there.
"""

from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman import state as states
from elman.cell import unroll
from elman.cells import CellModule
from elman.sequences import Sequences
from elman.state import State


class Trace(NamedTuple):
    """One recurrence over one batch.

    Attributes:
        name: its path in the model.
        cell: a copy of it in float64, in evaluation mode.
        x: [N, D] what it read; a layer that reads from the last step to the first has read the rows reversed.
        initial: the state before the first step of each row, leaves [B, ...].
        after: the state after each step, leaves [N, ...].
        gradient: [N, H] the gradient of the loss with respect to what the cell wrote at each step, through all that
            reads it, other than the cell itself.
        final_gradient: the same with respect to the final state of each row, leaves [B, ...].
    """

    name: str
    cell: CellModule
    x: Sequences
    initial: State
    after: State
    gradient: Tensor
    final_gradient: State

    def before(self, steps: np.ndarray) -> State:
        """The states that these steps [P], numbers in [0, N), started from: leaves [P, ...]."""
        first = torch.from_numpy(self.x.times[steps] == 0)
        inside = states.select(self.after, np.maximum(steps - 1, 0))
        return states.where(first, states.select(self.initial, self.x.rows[steps]), inside)


def numbers(state: State) -> list[Tensor]:
    """The leaves that a gradient can reach: integers are not among them."""
    return [leaf for leaf in states.leaves(state) if leaf.is_floating_point()]


def flat(leaf: Tensor) -> Tensor:
    """[P, ...] -> [P, n]."""
    return leaf.reshape(len(leaf), prod(leaf.shape[1:]))


def follow(cell: CellModule, x: Sequences, initial: State) -> State:
    """The state after each step, leaves [N, ...]."""

    def step(x: Tensor, state: State) -> tuple[State, State]:
        _, state = cell.step(x, state)
        return state, state

    with torch.no_grad():
        return unroll(step, x, initial)[0].values


def probe_steps(trace: Trace, count: int) -> np.ndarray:
    """So many steps [P] at which the loss reaches the cell, or all there are: of those in the later half of their row,
    the ones with most steps before them."""
    x, reached = trace.x, trace.gradient.abs().sum(1) > 0
    ends = torch.from_numpy(x.offsets[1:][x.lengths > 0] - 1)
    for leaf in numbers(trace.final_gradient):
        reached[ends] |= flat(leaf[torch.from_numpy(x.lengths > 0)]).abs().sum(1) > 0
    steps = np.flatnonzero(reached.numpy())
    late = steps[2 * (x.times[steps] + 1) >= x.lengths[x.rows[steps]]]
    oldest = late[np.argsort(-x.times[late], kind="stable")[: max(count, len(late) // 2)]]
    return np.sort(oldest[np.linspace(0, len(oldest) - 1, min(count, len(oldest))).astype(int)])
