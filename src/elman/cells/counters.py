"""What draws masks by number, and not in turn (`kernels/masks.py`): which step of which row it is."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.kernels.masks import Key, Steps
from elman.sequences import Sequences


class Drawing:
    """What draws masks while training. The training loop gives it a key for each update."""

    _key: tuple[Tensor, ...] = ()  # [1] each: for other numbers a compiler makes another program, for other tensors not

    @property
    def key(self) -> Key:
        """Integers that all its masks share; what a compiler follows takes them as they are kept."""
        if torch.compiler.is_compiling():
            return self._key
        return tuple(int(part) for part in self._key)

    @key.setter
    def key(self, key: Key) -> None:
        self._key = tuple(torch.tensor([part], dtype=torch.int64, device="cpu") for part in key)

    @property
    def draws(self) -> bool:
        return True


class Counters(NamedTuple):
    """A part of a state: so that stepping and scanning, cut anywhere, draw the same masks."""

    row: Tensor  # [B] int64
    step: Tensor  # [B] int64

    @classmethod
    def fresh(cls, batch_size: int, training: bool) -> "Counters":
        """Of rows that begin; while training each draws its number from PyTorch's generator."""
        row = torch.randint(2**32, (batch_size,)) if training else torch.arange(batch_size)
        return cls(row, torch.zeros(batch_size, dtype=torch.int64))

    def now(self) -> Steps:
        """The numbers of the row and of the step of each row, [B] both."""
        return self.row.numpy(), self.step.numpy()

    def along(self, sequences: Sequences) -> Steps:
        """The same of every step, [N] both."""
        return self.row.numpy()[sequences.rows], self.step.numpy()[sequences.rows] + sequences.times

    def after(self, steps: int | np.ndarray) -> "Counters":
        """So many steps on: one number, or one for each row."""
        return Counters(self.row, self.step + (torch.from_numpy(steps) if isinstance(steps, np.ndarray) else steps))
