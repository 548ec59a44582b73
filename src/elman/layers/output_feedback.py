"""Output feedback: a cell whose input includes its previous output (Jordan 1986)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from elman.cells.module import CellModule
from elman.layers.from_torch import as_layers
from elman.network.spec import Spec
from elman.state import State


class OutputFeedback(CellModule):
    """Cell that also reads its previous output: y = cell([x, y of the previous step]).

    The output before the first step is zero.
    With a simple recurrent network and a read-out, this is a Jordan network; with a linear layer, an autoregression.

    Args:
        cell: any cell, layer or stack that streams, as in `Stack`, of input size D + O and output size O.
    Shapes:
        x: [N, D]   state: (state of the cell, y [B, O])   ->   y: [N, O]
    Raises:
        TypeError: the cell is not a `CellModule`, as in `Stack`.
        ValueError: the input size of the cell is not above its output size, or the cell does not stream.
    Example:
        >>> from elman import RNN, Linear, Stack
        >>> OutputFeedback(Stack(RNN(8 + 2, 32), Linear(32, 2))).input_size
        8
    """

    kind = "output_feedback"

    def __init__(self, cell: nn.Module):
        super().__init__()
        (cell,) = as_layers("OutputFeedback", [cell])
        if cell.input_size <= cell.output_size:
            raise ValueError(f"OutputFeedback: expected a cell with an input size above its output size "
                             f"{cell.output_size}, got {cell.input_size}.")  # fmt: skip
        if not cell.streams:
            raise ValueError("OutputFeedback: expected a cell with a step, got one that needs whole sequences.")
        self.cell = cell
        self.input_size, self.output_size = cell.input_size - cell.output_size, cell.output_size

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, "cell")

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size), self.zeros(batch_size, self.output_size)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x = self.check_input("step", x)
        state = self.check_state("step", state, len(x))
        y, inner = self.cell.step(torch.cat([x, state[1]], -1), state[0])
        return y, (inner, y)
