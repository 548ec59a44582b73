"""Dropout (Srivastava et al. 2014), also with one mask per row (Gal and Ghahramani 2016, arXiv:1512.05287)."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells.module import CellModule
from elman.cells.random_masks import Counters, RandomMasks
from elman.kernels.dropout import dropout
from elman.network.spec import Spec
from elman.network.states import DropoutState
from elman.sequences import Sequences


class Dropout(CellModule, RandomMasks):
    """Dropout of features: y = x mask / (1 - p) in training mode, y = x otherwise.

    Each feature of each step is dropped with probability p.
    A mask is a function of a key, the layer's position in its model, row, step and feature (`kernels/masks.py`). In
    training mode, a new row draws its number from PyTorch's generator, as `torch.nn.Dropout` draws its masks. The
    training loop also sets a new key at each update, by `set_key`.

    Args:
        size: features of x and of y, D.
        p: probability of dropping, 0 < p < 1.
    Shapes:
        x: [N, D]   state: DropoutState(row [B], step [B])   ->   y: [N, D]
    Raises:
        ValueError: x is not [N, size]; p is out of range.
    """

    kind = "dropout"
    one_mask_per_row = False

    def __init__(self, size: int, p: float):
        super().__init__()
        if not 0 < p < 1:
            raise ValueError(f"{type(self).__name__}: expected 0 < p < 1, got {p}; leave it out to drop nothing.")
        self.input_size = self.output_size = size
        self.p = p

    @property
    def p(self) -> float:
        """Probability of dropping a feature."""
        return self._p.item()

    @p.setter
    def p(self, p: float) -> None:
        self._p = torch.tensor([p], dtype=torch.float64, device="cpu")  # a tensor, for the compiler, like the key

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names)

    def initial_state(self, batch_size: int) -> DropoutState:
        return DropoutState(*Counters.initial(batch_size, self.training))

    def step(self, x: Tensor, state: DropoutState) -> tuple[Tensor, DropoutState]:
        x = self.check_input("step", x)
        counters = Counters(*self.check_state("step", state, len(x)))
        return self._drop(x, *counters.current()), DropoutState(*counters.advanced(1))

    def scan(self, sequences: Sequences, state: DropoutState | None = None) -> tuple[Sequences, DropoutState]:
        sequences, state = self.checked_with_state("scan", sequences, state)
        counters = Counters(*state)
        final = DropoutState(*counters.advanced(sequences.lengths))
        if not self.training:
            return sequences, final
        steps = counters.per_step(sequences)
        return sequences.map(lambda x: self._drop(x, *steps)), final

    def _drop(self, x: Tensor, rows: np.ndarray, steps: np.ndarray) -> Tensor:
        if not self.training:
            return x
        which = (rows,) if self.one_mask_per_row else (rows, steps)
        return dropout(x, self._p, self.key, which)


class VariationalDropout(Dropout):
    """Dropout with one mask per row: the same features are dropped at every step.

    Arguments, shapes and errors are those of `Dropout`.
    """

    one_mask_per_row = True


def set_key(model: nn.Module, *key: int) -> None:
    """Set the key (seed, update) of every module with random masks; each also gets its position in the model."""
    layers = (layer for layer in model.modules() if isinstance(layer, RandomMasks) and layer.draws)
    for position, layer in enumerate(layers):
        layer.key = (*key, position) if key else ()
