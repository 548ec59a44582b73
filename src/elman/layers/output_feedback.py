"""A cell that reads what it wrote the step before (Jordan 1986)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from elman.cells.module import CellModule
from elman.runtime.layer_types import Spec
from elman.state import State


class OutputFeedback(CellModule):
    """y = cell([x, y of the step before]), from zeros

    With a simple recurrent net and a read-out it is a Jordan net; with an identity hidden state, an autoregression.

    Args:
        cell: any cell or stack that streams and reads D + O features, where O is what it writes.
    Shapes:
        x: [N, D]   state: (the cell's, y [B, O])   ->   y: [N, O]
    Raises:
        ValueError: the cell reads no more features than it writes, or does not stream.
    Example:
        >>> from elman import RNN, Linear, Stack
        >>> OutputFeedback(Stack(RNN(8 + 2, 32), Linear(32, 2))).input_size
        8
    """

    kind = "output_feedback"

    def __init__(self, cell: CellModule):
        super().__init__()
        if cell.input_size <= cell.output_size:
            raise ValueError(f"OutputFeedback: expected a cell that reads its {cell.output_size} outputs and at least "
                             f"one input, got one that reads {cell.input_size} features.")  # fmt: skip
        if not cell.streams:
            raise ValueError("OutputFeedback: expected a cell that steps, got one that reads whole sequences.")
        self.cell = cell
        self.input_size, self.output_size = cell.input_size - cell.output_size, cell.output_size

    def spec(self, names: Mapping[int, str] | None = None) -> Spec | None:
        return self.spec_of(names, "cell")

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size), self.zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x = self.check_input("step", x)
        y, inner = self.cell.step(torch.cat([x, state[1]], -1), state[0])
        return y, (inner, y)
