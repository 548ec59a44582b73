"""Inputs and states of one recurrence on real data, and the gradient that the loss sends into it.

All measurements of the doctor are computed from traces, in float64, which can represent a gradient that has shrunk by a
factor of 10^60.
"""

from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman import state as states
from elman.cell import unroll
from elman.cells import CellModule
from elman.representation import brief_fields
from elman.sequences import Sequences
from elman.state import State


@brief_fields
class Trace(NamedTuple):
    """Run of one recurrence over one batch.

    Attributes:
        name: path in the model, or the class if it is the whole model. A layer and direction of a `torch.nn` layer adds
            its suffix, such as `rnn.l0`.
        cell: copy in float64, in evaluation mode.
        x: [N, D] inputs; the rows of a backward direction are reversed.
        initial: state before the first step of each row, leaves [B, ...].
        after: state after each step, leaves [N, ...].
        gradient: [N, H] gradient of the loss with respect to the cell's output at each step, through everything that
            reads it except the cell itself.
        final_gradient: gradient of the loss with respect to the final state of each row, leaves [B, ...].
        reversed: whether the recurrence reads rows from the last step to the first.
        path: path of the module that has its weights.
        suffix: ending of its weights' names in a `torch.nn` layer, such as `l0_reverse`; None for a cell.
    """

    name: str
    cell: CellModule
    x: Sequences
    initial: State
    after: State
    gradient: Tensor
    final_gradient: State
    reversed: bool = False
    path: str = ""
    suffix: str | None = None

    def before(self, steps: np.ndarray) -> State:
        """Return the states before these steps [P], numbers in [0, N): leaves [P, ...]."""
        first = torch.from_numpy(self.x.times[steps] == 0)
        inside = states.select(self.after, np.maximum(steps - 1, 0))
        return states.where(first, states.select(self.initial, self.x.rows[steps]), inside)

    def gate_activations(self, steps: np.ndarray) -> dict[str, Tensor]:
        """Return the activations [P, H] of each gate at these steps [P]; {} for a cell without gates."""
        with torch.no_grad():
            x = self.cell.project(states.select(self.x.values, steps))
            return self.cell.gate_activations(x, self.before(steps))


def float_leaves(state: State) -> list[Tensor]:
    """Return the floating-point leaves, which can have a gradient."""
    return [leaf for leaf in states.leaves(state) if leaf.is_floating_point()]


def flat(leaf: Tensor) -> Tensor:
    """Flatten all axes but the first: [P, ...] -> [P, n]."""
    return leaf.reshape(len(leaf), prod(leaf.shape[1:]))


def states_after(cell: CellModule, x: Sequences, initial: State) -> State:
    """Return the state after each step, leaves [N, ...]."""

    def step(x: Tensor, state: State) -> tuple[State, State]:
        _, state = cell.step(x, state)
        return state, state

    with torch.no_grad():
        return unroll(step, x, initial)[0].values


def probe_steps(trace: Trace, count: int) -> np.ndarray:
    """Return up to `count` steps [P] that the loss reaches directly, in the later half of their rows, preferring those
    with most steps before them."""
    x, reached = trace.x, trace.gradient.abs().sum(1) > 0
    ends = torch.from_numpy(x.offsets[1:][x.lengths > 0] - 1)
    for leaf in float_leaves(trace.final_gradient):
        reached[ends] |= flat(leaf[torch.from_numpy(x.lengths > 0)]).abs().sum(1) > 0
    steps = np.flatnonzero(reached.numpy())
    late = steps[2 * (x.times[steps] + 1) >= x.lengths[x.rows[steps]]]
    oldest = late[np.argsort(-x.times[late], kind="stable")[: max(count, len(late) // 2)]]
    return np.sort(oldest[np.linspace(0, len(oldest) - 1, min(count, len(oldest))).astype(int)])
