"""How each step differs from what its row was like so far: who speaks, the light, the room are taken away."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.cells.module import CellModule
from elman.kernels import autocast
from elman.shapes import check


class SeenState(NamedTuple):
    """What has been read so far."""

    sum: Tensor  # [B, ...]
    steps: Tensor  # [B] int64


class Deviations(CellModule):
    """y[t] = x[t] - (x[1] + ... + x[t]) / t

    As the mean of a spectrum is taken away before speech is recognised (Atal 1974, "Effectiveness of linear prediction
    characteristics of the speech wave for automatic speaker identification"), but so that it streams: the mean is that
    of the steps so far. The first step of a row is 0.

    Args:
        shape: of x at one step: D features, or (C, H, W) of a frame.
    Shapes:
        x: [N, D] or [N, C, H, W]   state: SeenState(sum [B, ...], steps [B])   ->   y: as x
    Raises:
        ValueError: x is of another shape.
    Example:
        >>> from elman import Sequences
        >>> y, _ = Deviations(1).scan(Sequences(torch.tensor([[2.0], [4.0], [9.0]]), [3]))
        >>> y.values.tolist()
        [[0.0], [1.0], [4.0]]
    """

    blank: Tensor  # its type and device are those of the state

    def __init__(self, shape: int | Sequence[int]):
        super().__init__()
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.input_size = self.output_size = int(np.prod(self.shape))
        self.register_buffer("blank", torch.zeros(0), persistent=False)

    def initial_state(self, batch_size: int) -> SeenState:
        steps = torch.zeros(batch_size, dtype=torch.int64, device=self.blank.device)
        return SeenState(self.blank.new_zeros(batch_size, *self.shape), steps)

    def advance(self, x: Tensor, state: SeenState) -> tuple[Tensor, SeenState]:
        state = SeenState(state.sum + x, state.steps + 1)
        return x - state.sum / state.steps.view(-1, *[1] * len(self.shape)), state

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """x, which must be [N, ...] of the shape of a step; of the type of autocast, it is taken in that of the net."""
        letters = "D" if len(self.shape) == 1 else "CHW"
        sizes = " ".join(f"{letter}={size}" for letter, size in zip(letters, self.shape, strict=True))
        name, axis = ("values", "N") if verb == "scan" else ("x", "B")
        check(f"Deviations.{verb}", name, x, f"{axis} {sizes}")
        return autocast.taken(x, self.blank.dtype)
