"""Conversion of the batches of `torch.nn` (padded, packed, or a single row) to ragged steps and back."""

from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman.rows import Rows
from elman.sequences import Sequences


class Batch(Protocol):
    """Input of a call."""

    rows: Rows  # in the caller's order
    longest: int  # steps of the longest row
    shares_memory: bool  # whether `output` returns the memory of y itself

    def steps(self) -> Tensor:
        """Return the steps row after row, [N, D]."""

    def output(self, y: Tensor) -> Any:
        """Return y [N, H] in the format of the input."""

    def drop(self, y: Tensor, p: float) -> Tensor:
        """Apply dropout to y [N, H], with the mask that PyTorch would draw."""

    def state_shape(self, layers: int, units: int) -> tuple[int, ...]:
        """Return the shape of the arrays of a state in the caller's format."""

    def output_state(self, leaf: Tensor) -> Tensor:
        """Return an array [layers, B, H] of a state in the caller's format."""


class Padded:
    """Tensor [T, B, D], [B, T, D] if batch_first, or [T, D] for a single row."""

    def __init__(self, x: Tensor, batch_first: bool):
        self.batched = x.dim() == 3
        self.batch_first = batch_first or not self.batched
        self.x = x if self.batched else x[None]
        self.size = (*self.x.shape[:2],) if self.batch_first else (self.x.shape[1], self.x.shape[0])  # B, T
        traced = torch.compiler.is_compiling()
        self.rows = Rows(torch.full(self.size[:1], self.size[1])) if traced else _full(*self.size)
        self.longest = self.size[1]
        self.shares_memory = self.batch_first or 1 in self.size

    def steps(self) -> Tensor:
        return (self.x if self.batch_first else self.x.transpose(0, 1)).reshape(-1, self.x.shape[-1])

    def output(self, y: Tensor) -> Tensor:
        if not self.batched:
            return y
        y = y.view(*self.size, -1)
        return y if self.batch_first else y.transpose(0, 1).contiguous()

    def drop(self, y: Tensor, p: float) -> Tensor:
        mask = F.dropout(y.new_ones(*reversed(self.size), y.shape[1]), p)  # PyTorch draws along time
        return (y.view(*self.size, -1) * mask.transpose(0, 1)).view(y.shape)

    def state_shape(self, layers: int, units: int) -> tuple[int, ...]:
        return (layers, self.size[0], units) if self.batched else (layers, units)

    def output_state(self, leaf: Tensor) -> Tensor:
        return leaf if self.batched else leaf.squeeze(1)


class Packed:
    """PackedSequence."""

    shares_memory = False

    def __init__(self, packed: PackedSequence):
        self.packed, self.longest = packed, len(packed.batch_sizes)
        places: Any = np.arange(len(packed.data))
        steps = Sequences.from_packed(packed._replace(data=places))  # the place of each step in `packed.data`
        back = np.empty_like(places)
        back[steps.values] = places
        self.rows = steps.layout
        self._there, self._back = torch.from_numpy(steps.values), torch.from_numpy(back)

    def steps(self) -> Tensor:
        return _Reordered.apply(self.packed.data, self._there, self._back)

    def output(self, y: Tensor) -> PackedSequence:
        return PackedSequence(_Reordered.apply(y, self._back, self._there), *self.packed[1:])

    def drop(self, y: Tensor, p: float) -> Tensor:
        return y * F.dropout(torch.ones_like(y), p).index_select(0, self._there)

    def state_shape(self, layers: int, units: int) -> tuple[int, ...]:
        return layers, len(self.rows), units

    def output_state(self, leaf: Tensor) -> Tensor:
        return leaf


class _Reordered(torch.autograd.Function):
    """Steps in another order. With the inverse permutation, the gradient is a look-up instead of a sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        ctx.there, ctx.back = there, back
        return x.index_select(0, there)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        return _Reordered.apply(dy, ctx.back, ctx.there), None, None


@lru_cache(maxsize=64)
def _full(rows: int, steps: int) -> Rows:
    return Rows(np.full(rows, steps))
