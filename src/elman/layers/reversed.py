"""Wrapper that runs a cell from the last step of a sequence to its first."""

from collections.abc import Mapping
from typing import NoReturn

from torch import Tensor

from elman.cells.module import CellModule
from elman.layers.from_torch import as_layers
from elman.network.spec import Spec
from elman.sequences import Sequences
from elman.state import State


class Reversed(CellModule):
    """Cell that reads every row from its last step to its first: y = reversed(cell(reversed x)).

    The layer needs whole sequences, so it has no step and cannot stream.

    Args:
        cell: any cell that scans.
    Shapes:
        x: [N, D]   state: the state of the cell   ->   y: [N, O]
        final state: the state of the cell after the first step
    Raises:
        TypeError: the cell is not a `CellModule`, as in `Stack`.
        ValueError: `step` is called.
    Example:
        >>> from elman import GRU
        >>> Reversed(GRU(8, 32)).output_size
        32
    """

    kind = "reversed"
    streams = False

    def __init__(self, cell: CellModule):
        super().__init__()
        (cell,) = as_layers("Reversed", [cell])
        self.cell = cell
        self.input_size, self.output_size, self.step_axes = cell.input_size, cell.output_size, cell.step_axes

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, "cell")

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def step(self, x: Tensor, state: State) -> NoReturn:
        raise ValueError("Reversed.step: the layer reads a sequence from its end and cannot stream; use scan.")

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        self.check_sequences("scan", sequences)
        y, state = self.cell(sequences.reverse(), state)
        return y.reverse(), state

    unrolled = scan
