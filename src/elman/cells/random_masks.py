"""Modules with random masks, and the row and step numbers that determine the masks (`kernels/masks.py`)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.arrays import like
from elman.kernels.masks import Key, Steps
from elman.sequences import Sequences


class RandomMasks:
    """Mixin for a module that draws masks in training mode. The training loop sets a new key at each update."""

    _key: tuple[Tensor, ...] = ()  # [1] each: tensors, because a compiler would specialise a program on integers

    @property
    def key(self) -> Key:
        """Integers that all masks of the module share; the tensors themselves while compiling."""
        if torch.compiler.is_compiling():
            return self._key
        return tuple(int(part) for part in self._key)

    @key.setter
    def key(self, key: Key) -> None:
        self._key = tuple(torch.tensor([part], dtype=torch.int64, device="cpu") for part in key)

    @property
    def draws(self) -> bool:
        """Whether the module draws masks."""
        return True


class Counters(NamedTuple):
    """Row and step numbers in a state, so that stepping, scanning and cutting a row draw the same masks."""

    row: Tensor  # [B] int64
    step: Tensor  # [B] int64

    @classmethod
    def initial(cls, batch_size: int, training: bool) -> "Counters":
        """Return the counters of new rows; in training mode each row draws its number from PyTorch's generator."""
        row = torch.randint(2**32, (batch_size,)) if training else torch.arange(batch_size)
        return cls(row, torch.zeros(batch_size, dtype=torch.int64))

    def current(self) -> Steps:
        """Return the row number and the step number of each row, [B] both."""
        return self.row.numpy(), self.step.numpy()

    def per_step(self, sequences: Sequences) -> Steps:
        """Return the row number and the step number of every step of `sequences`, [N] both."""
        return self.row.numpy()[sequences.rows], self.step.numpy()[sequences.rows] + sequences.times

    def advanced(self, steps: int | np.ndarray) -> "Counters":
        """Return the counters after `steps` more steps, one number or one per row."""
        return Counters(self.row, self.step + (steps if isinstance(steps, int) else like(steps, self.step)))
