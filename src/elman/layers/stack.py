"""Stack of cells and layers."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from elman.cells.module import CellModule
from elman.kernels import recurrence
from elman.layers.from_torch import as_layers
from elman.network.spec import Spec
from elman.sequences import Sequences
from elman.state import State


class Stack(CellModule):
    """Chain of cells and layers: y1 = cell1(x), y2 = cell2(y1), ...

    The state is the tuple of the states of the cells. A stack streams if all its cells do.

    Args:
        modules: any cells and layers, first to last; the output of each is the input of the next. Pointwise layers of
            PyTorch (`Linear`, `LayerNorm`, `Dropout`, `Embedding`, activations) become layers of elman with the same
            weights.
    Shapes:
        x: [N, D of the first]   state: one per cell   ->   y: [N, O of the last]
    Raises:
        TypeError: a module is neither a `CellModule` nor a pointwise layer of PyTorch, or it has no sizes.
        ValueError: there is no cell, or an output size differs from the next input size; at a call: the state has
            another number of parts.
    Example:
        >>> from elman import LSTM, Linear
        >>> Stack(LSTM(8, 32), LSTM(32, 32), Linear(32, 5)).output_size
        5
    """

    kind = "stack"

    def __init__(self, *modules: nn.Module):
        super().__init__()
        if not modules:
            raise ValueError("Stack: expected at least one cell, got none.")
        cells = as_layers("Stack", modules)
        for number, (below, above) in enumerate(pairwise(cells)):
            if below.output_size != above.input_size:
                raise ValueError(
                    f"Stack: cell {number} ({type(below).__name__}) has output size {below.output_size}, but cell "
                    f"{number + 1} ({type(above).__name__}) has input size {above.input_size}."
                )
        self.cells = nn.ModuleList(cells)
        self.input_size, self.output_size = cells[0].input_size, cells[-1].output_size
        self.step_axes = cells[0].step_axes
        self.streams = all(cell.streams for cell in cells)

    def __iter__(self) -> Iterator[CellModule]:
        return cast(Iterator[CellModule], iter(self.cells))

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, *(f"cells.{number}" for number in range(len(self.cells))))

    def initial_state(self, batch_size: int) -> State:
        return tuple(cell.initial_state(batch_size) for cell in self)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if not self.streams:
            next(cell for cell in self if not cell.streams).step(x, ())  # raises: it reads whole sequences
        self._check_state("step", state)
        after = []
        for cell, before in zip(self, state, strict=True):
            x, new = cell.step(x, before)
            after.append(new)
        return x, tuple(after)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        self.check_sequences("scan", sequences)
        if state is not None:
            self._check_state("scan", state)
        after: list[State] = []
        before = (None,) * len(self.cells) if state is None else state
        for cells in self.waves():
            part = before[len(after) : len(after) + len(cells)]
            if len(cells) == 1:
                sequences, *new = cells[0](sequences, part[0])
            else:
                sequences, new = scan_wave(cells, sequences, None if state is None else part)
            after += new
        return sequences, tuple(after)

    def _check_state(self, verb: str, state: State) -> None:
        if not isinstance(state, tuple) or len(state) != len(self.cells):
            got = len(state) if isinstance(state, tuple) else f"a {type(state).__name__}"
            raise ValueError(f"Stack.{verb}: expected a tuple of {len(self.cells)} states, one per cell, got {got}.")

    def waves(self) -> list[list[CellModule]]:
        """Return the cells in groups; one kernel call runs a group as a wavefront, all layers at the same time."""
        waves: list[list[CellModule]] = []
        fused = False  # whether the last cell can share a kernel call
        for cell in self:
            kernel = cell.recurrence()
            fuses = kernel is not None and (torch.compiler.is_compiling() or recurrence.applies([kernel]))
            if fused and fuses:
                waves[-1].append(cell)
            else:
                waves.append([cell])
            fused = fuses
        return waves


def scan_wave(cells: list[CellModule], sequences: Sequences, state: State | None) -> tuple[Sequences, State]:
    """Scan cells that all have a kernel, in one call."""

    def unrolled(sequences: Sequences, state: State | None) -> tuple[Sequences, State]:
        after = []
        for cell, before in zip(cells, [None] * len(cells) if state is None else state, strict=True):
            sequences, new = cell.unrolled(sequences, before)
            after.append(new)
        return sequences, tuple(after)

    sequences = cells[0].checked("scan", sequences)
    kernels = [kernel for kernel in (cell.recurrence() for cell in cells) if kernel is not None]
    blank = tuple(cell.initial_state(0) for cell in cells)
    y, state = recurrence.scan(kernels, sequences.values, sequences.layout, state, blank, unrolled)
    return sequences.with_values(y), state
