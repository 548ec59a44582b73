"""Subtraction of the running mean of a row, which removes constants such as a speaker's spectrum or the lighting."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from elman.cells.module import CellModule, check_tensor
from elman.kernels import autocast
from elman.network.spec import Spec
from elman.network.states import RunningSum
from elman.shapes import check


class Deviations(CellModule):
    """Layer that subtracts the running mean: y[t] = x[t] - (x[1] + ... + x[t]) / t

    This is a streaming form of cepstral mean subtraction (Atal 1974, "Effectiveness of linear prediction
    characteristics of the speech wave for automatic speaker identification"). The first output of a row is 0.

    Args:
        shape: shape of one step: D features, or (C, H, W) for a frame.
    Shapes:
        x: [N, D] or [N, C, H, W]   state: RunningSum(sum [B, ...], steps [B])   ->   y: as x
    Raises:
        ValueError: x has another shape.
    Example:
        >>> from elman import Sequences
        >>> y, _ = Deviations(1).scan(Sequences(torch.tensor([[2.0], [4.0], [9.0]]), [3]))
        >>> y.values.tolist()
        [[0.0], [1.0], [4.0]]
    """

    kind = "deviations"

    blank: Tensor  # carries the dtype and device of the state

    def __init__(self, shape: int | Sequence[int]):
        super().__init__()
        self.shape = (shape,) if isinstance(shape, int) else tuple(shape)
        self.input_size = self.output_size = int(np.prod(self.shape))
        self.register_buffer("blank", torch.zeros(0), persistent=False)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, shape=list(self.shape))

    def initial_state(self, batch_size: int) -> RunningSum:
        steps = torch.zeros(batch_size, dtype=torch.int64, device=self.blank.device)
        return RunningSum(self.blank.new_zeros(batch_size, *self.shape), steps)

    def advance(self, x: Tensor, state: RunningSum) -> tuple[Tensor, RunningSum]:
        state = RunningSum(state.sum + x, state.steps + 1)
        return x - state.sum / state.steps.view(-1, *[1] * len(self.shape)), state

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """Check that x is [N, *shape]; cast an autocast dtype to the model's dtype."""
        letters = "D" if len(self.shape) == 1 else "CHW"
        sizes = " ".join(f"{letter}={size}" for letter, size in zip(letters, self.shape, strict=True))
        name, axis = ("values", "N") if verb == "scan" else ("x", "B")
        check(f"Deviations.{verb}", name, x, f"{axis} {sizes}")
        check_tensor(f"Deviations.{verb}", name, x)
        return autocast.cast_input(x, self.blank.dtype)
