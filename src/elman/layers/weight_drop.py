"""Dropout of recurrent weights: AWD-LSTM (Merity et al. 2018, arXiv:1708.02182); DropConnect (Wan et al. 2013)."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from elman.cells.module import CellModule
from elman.cells.random_masks import RandomMasks
from elman.cells.spec import names_in, spec_of_part
from elman.kernels.dropout import random_mask
from elman.layers.from_torch import as_layers
from elman.network.spec import Spec
from elman.rows import one_step_each
from elman.sequences import Sequences
from elman.state import State


class WeightDrop(CellModule, RandomMasks):
    """Cell whose recurrent weights are W_hh mask / (1 - p) in training mode, and W_hh otherwise.

    All rows and steps of a scan share one mask, so that the weights are masked once and the kernels run unchanged.

    Args:
        cell: an RNN, LSTM or GRU.
        p: probability of dropping a weight, 0 < p < 1.
    Shapes:
        as those of the cell
    Raises:
        TypeError: the cell is not a `CellModule`, as in `Stack`.
        ValueError: p is out of range, or the cell has no `weight_hh`.
    """

    def __init__(self, cell: CellModule, p: float):
        super().__init__()
        (cell,) = as_layers("WeightDrop", [cell])
        if not 0 < p < 1:
            raise ValueError(f"WeightDrop: expected 0 < p < 1, got {p}; leave it out to drop nothing.")
        if not isinstance(getattr(cell, "weight_hh", None), Tensor):
            raise ValueError(f"WeightDrop: expected a cell with recurrent weights, got {type(cell).__name__}.")
        self.cell, self.p = cell, p
        self.input_size, self.output_size, self.streams = cell.input_size, cell.output_size, cell.streams

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return spec_of_part(self, "cell", names_in(self, names))  # evaluation mode drops nothing

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if not self.training:
            return self.cell.step(x, state)
        y, state = self.scan(Sequences(x, one_step_each(len(x))), state)
        return y.values, state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        self.check_sequences("scan", sequences)
        if not self.training:
            return self.cell(sequences, state)
        return functional_call(self.cell, {"weight_hh": self._dropped()}, (sequences, state))

    def _dropped(self) -> Tensor:
        weight = self.cell.weight_hh
        assert isinstance(weight, Tensor)
        key = self.key or (int(torch.randint(2**32, ())),)
        kept = random_mask(1 - self.p, key, (np.arange(len(weight)),), weight.shape[1])
        return weight * (kept.to(weight.device, weight.dtype) / (1 - self.p))
