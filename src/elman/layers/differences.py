"""Differences to the previous step, appended to the input: velocities, motion."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from elman.arrays import like
from elman.cells.module import CellModule, check_tensor
from elman.kernels import autocast
from elman.network.spec import Spec
from elman.network.states import PreviousStep
from elman.sequences import Sequences
from elman.shapes import check


class Differences(CellModule):
    """Layer that appends the change since the previous step: y[t] = [x[t], (x[t] - x[t-1]) / scale].

    The change is 0 at the first step of a row.

    Args:
        shape: shape of one step: D features, or (C, H, W) for a frame.
        scale: divisor of the differences, [D]; None for 1.
    Shapes:
        x: [N, D] or [N, C, H, W]   state: PreviousStep(previous [B, ...], steps [B])
        ->   y: [N, 2 D] or [N, 2 C, H, W]
    Raises:
        ValueError: x has another shape.
    """

    kind = "differences"

    scale: Tensor

    def __init__(self, shape: int | Sequence[int], scale: Tensor | None = None):
        super().__init__()
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.input_size, self.output_size = int(np.prod(self.shape)), 2 * int(np.prod(self.shape))
        self.register_buffer("scale", torch.ones(self.shape[:1]) if scale is None else scale)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, shape=list(self.shape))

    def initial_state(self, batch_size: int) -> PreviousStep:
        steps = torch.zeros(batch_size, dtype=torch.int64, device=self.scale.device)
        return PreviousStep(self.scale.new_zeros(batch_size, *self.shape), steps)

    def step(self, x: Tensor, state: PreviousStep) -> tuple[Tensor, PreviousStep]:
        x = self.check_input("step", x)
        previous, steps = self.check_state("step", state, len(x))
        return self._joined(x, previous, steps > 0), PreviousStep(x, steps + 1)

    def scan(self, sequences: Sequences, state: PreviousStep | None = None) -> tuple[Sequences, PreviousStep]:
        sequences, (first, steps) = self.checked_with_state("scan", sequences, state)
        x, full = sequences.values, sequences.lengths > 0
        starts, ends = (like(offsets[full], x) for offsets in (sequences.offsets[:-1], sequences.offsets[1:]))
        rows = like(np.flatnonzero(full), x)
        previous = torch.cat([x[:1], x[:-1]]).index_put((starts,), first[rows])
        known = torch.ones(len(x), dtype=torch.bool, device=x.device).index_put((starts,), steps[rows] > 0)
        y = sequences.with_values(self._joined(x, previous, known))
        return y, PreviousStep(first.index_put((rows,), x[ends - 1]), steps + like(sequences.lengths, steps))

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """Check that x is [N, *shape]; cast an autocast dtype to the model's dtype."""
        letters = "D" if len(self.shape) == 1 else "CHW"
        sizes = " ".join(f"{letter}={size}" for letter, size in zip(letters, self.shape, strict=True))
        name, axis = ("values", "N") if verb == "scan" else ("x", "B")
        check(f"Differences.{verb}", name, x, f"{axis} {sizes}")
        check_tensor(f"Differences.{verb}", name, x)
        return autocast.cast_input(x, self.scale.dtype)

    def _joined(self, x: Tensor, previous: Tensor, known: Tensor) -> Tensor:
        around = [1] * (x.ndim - 2)
        change = (x - previous) / self.scale.view(-1, *around)
        return torch.cat([x, change * known.view(-1, 1, *around)], 1)
