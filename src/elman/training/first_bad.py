"""The first number that is not finite: at which step of which row, in which gate, and what led to it."""

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


class FirstBad(NamedTuple):
    """Where it is.

    Attributes:
        row: of the batch that the layer read, from 0.
        step: of that row, from 0, in the order in which it is read.
        what: `input`, `gate`, `state`, `output` or `gradient`.
        gate: its name, as `gate_activations` has it; None where it is in none.
        magnitudes: the largest number in the row's state before this step and the ones before it, at most 4, the latest
            last; of a gradient, which comes from the other end, that with respect to the state after it.
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


def first_bad(cell: CellModule, x: Sequences, state: State | None) -> FirstBad | None:
    """The earliest step at which a cell reads, opens, carries or writes a number that is not finite: of the first row
    where there are several.

    The cell is stepped by its definition; None where that is finite throughout.
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
            opened = (
                {}
                if type(cell).gate_activations is CellModule.gate_activations
                else cell.gate_activations(cell.project(now), state)
            )
            y, after = cell.step(now, state)
            seen: list[tuple[str, str | None, State]] = [("input", None, now), ("state", None, state)]
            seen += [("gate", name, gate) for name, gate in opened.items()]
            seen += [("state", None, after), ("output", None, y)]
            bad = [_bad_rows(part, alive) for *_, part in seen]
            if (rows := np.any(bad, axis=0)).any():
                place = np.flatnonzero(rows)[plan.longest_first[:alive][rows].argmin()]
                what, gate, _ = seen[[part[place] for part in bad].index(True)]
                sizes = tuple(size for step in magnitudes if np.isfinite(size := float(step[place])))
                return FirstBad(int(plan.longest_first[place]), time, what, gate, sizes)
            state = after
    return None


def first_bad_gradient(
    cell: CellModule, x: Sequences, state: State | None, dy: Tensor, dfinal: State
) -> FirstBad | None:
    """The latest step before which the gradient with respect to the state is not finite: of the first row where there
    are several; None where all of it is finite.

    Args:
        dy, dfinal: finite gradients with respect to what the cell writes, [N, H], and to the final state of each row.
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
    written, gradients = zip(*((end, gradient) for end, gradient in ends if end.requires_grad), strict=True)
    asked = [leaf for leaves in before for leaf in leaves]
    found = iter(torch.autograd.grad(written, asked, gradients, materialize_grads=True))
    at = [[next(found) for _ in leaves] for leaves in before]
    for time in range(len(at) - 1, -1, -1):
        bad = _bad_rows(tuple(at[time]), x.plan.alive[time])
        if bad.any():
            place = np.flatnonzero(bad)[x.plan.longest_first[: len(bad)][bad].argmin()]
            later = [part for part in at[time + 1 : time + 1 + KEPT] if place < len(part[0])]
            sizes = tuple(float(_largest(tuple(part), len(part[0]))[place]) for part in reversed(later))
            return FirstBad(int(x.plan.longest_first[place]), time, "gradient", None, sizes)
    return None


def first_bad_output(output: Any, batch_first: bool = False, carried: bool = False) -> FirstBad | None:
    """The earliest step at which an output is not finite: ragged, packed, padded, or one row.

    Args:
        carried: whether the output is the state as well, so that its numbers before are worth telling.
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
        return FirstBad(row, step, "output")
    before = _largest(output.values[first - min(step, KEPT) : first], min(step, KEPT))
    return FirstBad(row, step, "state", None, tuple(before.tolist()))


def _largest(state: State, rows: int) -> Tensor:
    """[rows] the largest number in each row of a state, sign aside."""
    parts = [leaf.reshape(rows, -1).abs() for leaf in _numbers(state) if leaf.numel()]
    return torch.cat(parts, 1).amax(1) if parts else torch.full((rows,), torch.nan)


def _bad_rows(part: State, rows: int) -> np.ndarray:
    """[rows] bool: which hold a number that is not finite."""
    bad = np.zeros(rows, bool)
    for leaf in _numbers(part):
        bad |= (~torch.isfinite(leaf.detach().reshape(rows, -1)).all(1)).cpu().numpy()
    return bad


def _numbers(state: State) -> list[Tensor]:
    leaves = states.leaves(states.by_row(state))
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]
