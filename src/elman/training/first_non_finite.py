"""The first number that is not finite: its step, row and gate, and the magnitudes before it."""

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman import state as states
from elman.cell import unroll
from elman.cells.module import CellModule
from elman.kernels import native
from elman.sequences import Sequences
from elman.state import State

KEPT = 4  # magnitudes


class FirstNonFinite(NamedTuple):
    """Place of the first number that is not finite.

    Attributes:
        row: of the batch that the layer read, from 0.
        step: of that row, from 0, in reading order.
        what: `input`, `gate`, `state`, `output` or `gradient`.
        gate: name of the gate, as in `gate_activations`; None if it is in no gate.
        magnitudes: largest absolute value in the row's state before this step and up to 3 steps earlier, the latest
            last. For a gradient, which comes from the end of the row: that of the gradients at the steps after it.
    """

    row: int
    step: int
    what: str
    gate: str | None = None
    magnitudes: tuple[float, ...] = ()

    def __str__(self) -> str:
        words = f"row {self.row}, step {self.step}" + (f", gate {self.gate}" if self.gate else "")
        if not self.magnitudes or self.what == "input":
            return words
        sizes = ", ".join(f"{magnitude:.2g}" for magnitude in self.magnitudes)
        return f"{words}; " + (f"|gradient| {sizes} after it" if self.what == "gradient" else f"|state| {sizes} before")


def first_non_finite(cell: CellModule, x: Sequences, state: State | None) -> FirstNonFinite | None:
    """Return the earliest step with an input, gate, state or output that is not finite; None if all are finite.

    The cell is stepped by its definition. If several rows fail at that step, the first of them is returned.
    """
    plan = x.plan
    if not plan.alive:
        return None
    inputs = states.split(states.select(x.values, plan.by_time), plan.alive)
    magnitudes: deque[Tensor] = deque(maxlen=KEPT)
    with native.disabled(), torch.no_grad():
        state = states.select(cell.initial_state(len(x)) if state is None else state, plan.longest_first)
        for time, (now, alive) in enumerate(zip(inputs, plan.alive, strict=True)):
            state = states.select(state, np.arange(alive))
            magnitudes.append(_largest(state, alive))
            has_gates = type(cell).gate_activations is not CellModule.gate_activations
            gates = cell.gate_activations(cell.project(now), state) if has_gates else {}
            y, after = cell.step(now, state)
            parts: list[tuple[str, str | None, State]] = [("input", None, now), ("state", None, state)]
            parts += [("gate", name, gate) for name, gate in gates.items()]
            parts += [("state", None, after), ("output", None, y)]
            bad = [_bad_rows(part, alive) for *_, part in parts]
            if (rows := np.any(bad, axis=0)).any():
                place = np.flatnonzero(rows)[plan.longest_first[:alive][rows].argmin()]
                what, gate, _ = parts[[part[place] for part in bad].index(True)]
                sizes = tuple(size for step in magnitudes if np.isfinite(size := float(step[place])))
                return FirstNonFinite(int(plan.longest_first[place]), time, what, gate, sizes)
            state = after
    return None


def first_non_finite_gradient(
    cell: CellModule, x: Sequences, state: State | None, dy: Tensor, dfinal: State
) -> FirstNonFinite | None:
    """Return the latest step whose gradient with respect to the state before it is not finite; None if all are finite.

    If several rows fail at that step, the first of them is returned.

    Args:
        dy, dfinal: finite gradients with respect to the cell's output [N, H] and the final state of each row.
    """
    before: list[list[Tensor]] = []  # by time, each [rows alive, ...]

    def step(now: Tensor, state: State) -> tuple[Any, State]:
        state = states.separate(state)
        before.append([leaf for leaf in states.leaves(state) if leaf.requires_grad])
        return cell.step(now, state)

    state = cell.initial_state(len(x)) if state is None else states.detach(state)
    with native.disabled(), torch.enable_grad():
        y, final = unroll(step, x.map(states.detach), state)
    ends = zip((y.values, *states.leaves(final)), (dy, *states.leaves(dfinal)), strict=True)
    outputs, gradients = zip(*((end, gradient) for end, gradient in ends if end.requires_grad), strict=True)
    inputs = [leaf for leaves in before for leaf in leaves]
    found = iter(torch.autograd.grad(outputs, inputs, gradients, materialize_grads=True))
    at = [[next(found) for _ in leaves] for leaves in before]
    for time in range(len(at) - 1, -1, -1):
        bad = _bad_rows(tuple(at[time]), x.plan.alive[time])
        if bad.any():
            place = np.flatnonzero(bad)[x.plan.longest_first[: len(bad)][bad].argmin()]
            later = [part for part in at[time + 1 : time + 1 + KEPT] if place < len(part[0])]
            sizes = tuple(float(_largest(tuple(part), len(part[0]))[place]) for part in reversed(later))
            return FirstNonFinite(int(x.plan.longest_first[place]), time, "gradient", None, sizes)
    return None


def first_non_finite_output(output: Any, batch_first: bool = False, carried: bool = False) -> FirstNonFinite | None:
    """Return the earliest step of an output (ragged, packed, padded, or one row) that is not finite.

    Args:
        carried: whether the output is the state too, so that its magnitudes at the steps before are reported.
    """
    if isinstance(output, PackedSequence):
        output = Sequences.from_packed(output)
    elif isinstance(output, Tensor) and output.dim() == 3:
        rows, steps = output.shape[:2] if batch_first else output.shape[1::-1]
        output = Sequences.from_padded(output, [steps] * rows, batch_first)
    elif isinstance(output, Tensor):
        output = Sequences(output, [len(output)])
    bad = np.flatnonzero(_bad_rows(output.values, output.num_steps))
    if not len(bad):
        return None
    first = bad[np.lexsort((output.rows[bad], output.times[bad]))[0]]
    row, step = int(output.rows[first]), int(output.times[first])
    if not carried:
        return FirstNonFinite(row, step, "output")
    before = _largest(output.values[first - min(step, KEPT) : first], min(step, KEPT))
    return FirstNonFinite(row, step, "state", None, tuple(before.tolist()))


def _largest(state: State, rows: int) -> Tensor:
    """Return the largest absolute value in each row of a state: [rows]."""
    parts = [leaf.reshape(rows, -1).abs() for leaf in _numbers(state) if leaf.numel()]
    return torch.cat(parts, 1).amax(1) if parts else torch.full((rows,), torch.nan)


def _bad_rows(part: State, rows: int) -> np.ndarray:
    """Return whether each row has a number that is not finite: bool [rows]."""
    bad = np.zeros(rows, bool)
    for leaf in _numbers(part):
        bad |= (~torch.isfinite(leaf.detach().reshape(rows, -1)).all(1)).cpu().numpy()
    return bad


def _numbers(state: State) -> list[Tensor]:
    leaves = states.row_leaves(state)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
