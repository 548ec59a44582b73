"""Residual connection around a cell (He et al. 2016, arXiv:1512.03385)."""

from collections.abc import Mapping

from torch import Tensor, nn

from elman.cells.module import CellModule
from elman.layers.from_torch import as_layers
from elman.network.spec import Spec
from elman.sequences import Sequences
from elman.state import State


class Residual(CellModule):
    """Cell with a residual connection: y = x + cell(x)

    Args:
        cell: any cell, layer or stack of equal input and output size, as in `Stack`.
    Shapes:
        x: [N, D]   state: the state of the cell   ->   y: [N, D]
    Raises:
        TypeError: the cell is not a `CellModule`, as in `Stack`.
        ValueError: the cell's input and output sizes differ.
    """

    kind = "residual"

    def __init__(self, cell: nn.Module):
        super().__init__()
        (cell,) = as_layers("Residual", [cell])
        if cell.input_size != cell.output_size:
            raise ValueError(f"Residual: expected a cell of equal input and output size, got {type(cell).__name__} "
                             f"from {cell.input_size} to {cell.output_size}.")  # fmt: skip
        self.cell = cell
        self.input_size = self.output_size = cell.input_size
        self.streams = cell.streams

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, "cell")

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        y, state = self.cell.step(x, state)
        return x + y, state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        self.check_sequences("scan", sequences)
        y, state = self.cell(sequences, state)
        return y.map(lambda values: sequences.values + values), state
