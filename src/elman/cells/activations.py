"""Activations of a cell along one row: its gates, and its state after each step."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.cell import unroll
from elman.representation import brief_fields
from elman.sequences import Sequences
from elman.state import State

LEAVES = {"h": "hidden state", "c": "cell state"}


@brief_fields
class Activations(NamedTuple):
    """Activations of a cell at every step of one row.

    Attributes:
        name: path of the cell in its model; empty if it is the model.
        cell: the cell: `LSTM(64 -> 128)`.
        values: [T, H] by name: `input gate` and the others, from 0 (closed) to 1 (open), then `cell state`,
            `hidden state`. Values at index t belong to step t of the row, also for a cell that reads it backward.
        texts: T texts of the steps; None if steps are not text.
    """

    name: str
    cell: str
    values: dict[str, np.ndarray]
    texts: Sequence[str] | None = None


def activations(cell: Any, sequences: Sequences, state: State | None = None) -> Activations:
    """Return the activations of a cell along the only row of `sequences`, in evaluation mode; see `Activations`.

    The values are empty for a cell without gates whose state is not [B, H].
    """
    names: list[str] = []

    def step(x: Any, state: State) -> tuple[State, State]:
        gates = cell.gate_activations(cell.project(x), state)
        _, state = cell.step(x, state)
        found = {**{f"{name} gate": values for name, values in gates.items()}, **dict(_vectors(state))}
        names[:] = found
        return tuple(found.values()), state

    training = cell.training
    cell.eval()
    try:
        with torch.no_grad():
            found, _ = unroll(step, sequences, cell.initial_state(1) if state is None else state)
    finally:
        cell.train(training)
    values = {name: leaf.numpy(force=True) for name, leaf in zip(names, found.values, strict=True)}
    return Activations("", f"{type(cell).__name__}({cell.input_size} -> {cell.output_size})", values)


def _vectors(state: State) -> Iterator[tuple[str, Tensor]]:
    """Yield the parts of a state that are [B, H], with their names; the hidden state is the last one."""
    if isinstance(state, Tensor):
        state, fields = (state,), ["h"]
    else:
        fields = getattr(state, "_fields", [str(number) for number in range(1, len(state) + 1)])
    parts = [(LEAVES.get(name, f"state {name}"), leaf) for name, leaf in zip(fields, state, strict=True)
             if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.dim() == 2]  # fmt: skip
    yield from sorted(parts, key=lambda part: part[0] == LEAVES["h"])
