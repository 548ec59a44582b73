"""Bidirectional layer: two cells that read a sequence from both ends (Schuster and Paliwal 1997)."""

from collections.abc import Mapping
from typing import NoReturn

import torch
from torch import Tensor

from elman.cells.module import CellModule
from elman.kernels import recurrence
from elman.layers.from_torch import as_layers
from elman.network.spec import Spec
from elman.sequences import Sequences
from elman.state import State


class Bidirectional(CellModule):
    """Two cells that read every row in opposite directions: y = [forward(x), reversed(backward(reversed x))].

    The layer needs whole sequences, so it has no step and cannot stream.

    Args:
        forward_cell: cell that reads every row from its first step to its last.
        backward_cell: cell that reads every row from its last step to its first.
    Shapes:
        x: [N, D]   state: (state of forward, state of backward)   ->   y: [N, O forward + O backward]
        final state: (forward after the last step, backward after the first step)
    Raises:
        TypeError: a cell is not a `CellModule`, as in `Stack`.
        ValueError: the two cells have different input sizes; `step` is called.
    Example:
        >>> from elman import GRU
        >>> Bidirectional(GRU(8, 32), GRU(8, 32)).output_size
        64
    """

    kind = "bidirectional"
    streams = False

    def __init__(self, forward_cell: CellModule, backward_cell: CellModule):
        super().__init__()
        forward_cell, backward_cell = as_layers("Bidirectional", [forward_cell, backward_cell])
        if forward_cell.input_size != backward_cell.input_size:
            raise ValueError(f"Bidirectional: expected two cells of the same input size, got "
                             f"{forward_cell.input_size} and {backward_cell.input_size}.")  # fmt: skip
        self.forward_cell, self.backward_cell = forward_cell, backward_cell
        self.input_size = forward_cell.input_size
        self.output_size = forward_cell.output_size + backward_cell.output_size

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, "forward_cell", "backward_cell")

    def initial_state(self, batch_size: int) -> State:
        return self.forward_cell.initial_state(batch_size), self.backward_cell.initial_state(batch_size)

    def step(self, x: Tensor, state: State) -> NoReturn:
        raise ValueError("Bidirectional.step: the layer reads a sequence from both ends and cannot stream; "
                         "use scan, or a forward cell alone.")  # fmt: skip

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        forward, backward = self.forward_cell.recurrence(), self.backward_cell.recurrence()
        if forward is None or backward is None:
            return self.unrolled(*self.checked_with_state("scan", sequences, state))
        sequences = self.checked("scan", sequences)
        layers = [forward, backward._replace(reverse=True)]
        x, blank = sequences.values, self.initial_state(0)
        y, state = recurrence.scan(layers, x, sequences.layout, state, blank, self.unrolled, both_ways=True)
        return sequences.with_values(y), state

    def unrolled(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        first, last = (None, None) if state is None else state
        forward, first = self.forward_cell(sequences, first)
        backward, last = self.backward_cell(sequences.reverse(), last)
        values = torch.cat([forward.values, backward.reverse().values], -1)
        return sequences.with_values(values), (first, last)
