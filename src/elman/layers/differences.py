"""Differences to the previous step, appended to the input: velocities, motion."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from elman.cells.module import CellModule, check_tensor
from elman.kernels import autocast
from elman.sequences import Sequences
from elman.shapes import check


class Differences(CellModule):
    """Layer that appends the change since the previous step: y[t] = [x[t], (x[t] - x[t-1]) / scale].

    The change is 0 at the first step of a row.

    Args:
        shape: shape of one step: D features, or (C, H, W) for a frame.
        scale: divisor of the differences, [D]; None for 1.
    Shapes:
        x: [N, D] or [N, C, H, W]   state: (previous x [B, ...], whether it exists [B])
        ->   y: [N, 2 D] or [N, 2 C, H, W]
    Raises:
        ValueError: x has another shape.
    """

    scale: Tensor

    def __init__(self, shape: int | Sequence[int], scale: Tensor | None = None):
        super().__init__()
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.input_size, self.output_size = int(np.prod(self.shape)), 2 * int(np.prod(self.shape))
        self.register_buffer("scale", torch.ones(self.shape[:1]) if scale is None else scale)

    def initial_state(self, batch_size: int) -> tuple[Tensor, Tensor]:
        return self.scale.new_zeros(batch_size, *self.shape), torch.zeros(batch_size, dtype=torch.bool)

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        x = self.check_input("step", x)
        before, was = self.check_state("step", state, len(x))
        return self._joined(x, before, was), (x, torch.ones_like(was))

    def scan(
        self, sequences: Sequences, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Sequences, tuple[Tensor, Tensor]]:
        sequences, (first, was) = self.checked_with_state("scan", sequences, state)
        x = sequences.values
        full = sequences.lengths > 0
        starts, rows = torch.from_numpy(sequences.offsets[:-1][full]), torch.from_numpy(np.flatnonzero(full))
        before = torch.cat([x[:1], x[:-1]]).index_put((starts,), first[rows])
        known = torch.ones(len(x), dtype=torch.bool).index_put((starts,), was[rows])
        last = first.index_put((rows,), x[torch.from_numpy(sequences.offsets[1:][full] - 1)])
        return sequences.map(lambda x: self._joined(x, before, known)), (last, was | torch.from_numpy(full))

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """Check that x is [N, *shape]; cast an autocast dtype to the model's dtype."""
        letters = "D" if len(self.shape) == 1 else "CHW"
        sizes = " ".join(f"{letter}={size}" for letter, size in zip(letters, self.shape, strict=True))
        name, axis = ("values", "N") if verb == "scan" else ("x", "B")
        check(f"Differences.{verb}", name, x, f"{axis} {sizes}")
        check_tensor(f"Differences.{verb}", name, x)
        return autocast.cast_input(x, self.scale.dtype)

    def _joined(self, x: Tensor, before: Tensor, known: Tensor) -> Tensor:
        around = [1] * (x.ndim - 2)
        change = (x - before) / self.scale.view(-1, *around)
        return torch.cat([x, change * known.view(-1, 1, *around)], 1)
