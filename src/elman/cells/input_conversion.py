"""Conversion of inputs: a call of a cell accepts several kinds of batches, and returns the kind that it is given.

Inside elman, a batch is always `Sequences` of tensors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman import state as states
from elman.arrays import as_array, is_tensor
from elman.sequences import Sequences

Restore = Callable[[Sequences], Any]  # converts an output to the kind of the input


def is_plain(batch: Any) -> bool:
    """Return whether a batch is `Sequences` of tensors, which needs no conversion."""
    return isinstance(batch, Sequences) and not isinstance(batch.values, np.ndarray)


def to_sequences(batch: Any, axes: int, size: int, like: Tensor | None, where: str) -> tuple[Sequences, Restore]:
    """Return a batch as `Sequences` of tensors, and the conversion of an output to the kind of the batch.

    Args:
        batch: a tensor or NumPy array [B, T, ...], batch first, all rows of T steps; a `PackedSequence`; a list of rows
            [T, ...]; `Sequences`.
        axes: number of axes of an input, 1 for [D] and 0 for ids.
        size: D, for errors.
        like: a weight; NumPy numbers get its device and, unless they are ids, its dtype.
        where: the call that an error names.
    Raises:
        TypeError: the batch is of another kind.
        ValueError: a tensor has another number of axes.
    """
    device, dtype = (None, None) if like is None else (like.device, like.dtype if axes else None)

    def tensor(array: Any) -> Tensor:
        return torch.tensor(as_array(array), device=device, dtype=dtype)

    if isinstance(batch, PackedSequence):
        return _from_packed(batch)
    if isinstance(batch, Sequences):
        return batch.map(lambda values: states.map(tensor, values)), lambda y: y.map(_array)
    if isinstance(batch, list):
        rows = [row if is_tensor(row) else tensor(row) for row in batch]
        given = all(map(is_tensor, batch))
        return Sequences.from_list(rows), lambda y: y.to_list() if given else list(map(_array, y.to_list()))
    if not is_tensor(batch) and not isinstance(batch, np.ndarray):
        shape = f"[B, T{f', D={size}' if axes == 1 else ', ...' * bool(axes)}]"
        raise TypeError(f"{where}: expected Sequences, a tensor {shape}, a PackedSequence or a list of rows, got "
                        f"{type(batch).__name__}.")  # fmt: skip
    if batch.ndim != axes + 2:
        raise ValueError(_wrong_axes(batch, axes, where))
    x = batch if is_tensor(batch) else tensor(batch)
    count, steps = x.shape[:2]

    def back(y: Sequences) -> Any:
        values = states.map(lambda leaf: leaf.reshape(count, steps, *leaf.shape[1:]), y.values)
        return values if is_tensor(batch) else _array(values)

    lengths = torch.full((count,), steps)  # a tensor, for a compiler
    return Sequences(x.reshape(count * steps, *x.shape[2:]), lengths), back


def _from_packed(packed: PackedSequence) -> tuple[Sequences, Restore]:
    """Convert a packed batch, which keeps its order of rows and steps."""
    places: Any = np.arange(len(packed.data))
    order = Sequences.from_packed(packed._replace(data=places))
    there = torch.from_numpy(order.values).to(packed.data.device)
    back = torch.empty_like(there)
    back[there] = torch.arange(len(there), device=there.device)
    sequences = order.with_values(packed.data.index_select(0, there))
    return sequences, lambda y: PackedSequence(y.values.index_select(0, back), *packed[1:])


def _array(values: Any) -> Any:
    return states.map(lambda leaf: leaf.numpy(force=True), values)


def _wrong_axes(batch: Any, axes: int, where: str) -> str:
    shape = f"[B, T{', D' if axes == 1 else ', ...' * bool(axes)}]"
    message = f"{where}: expected a batch of shape {shape}, got {list(batch.shape)}"
    if batch.ndim != axes + 1:
        return f"{message}."
    return (f"{message}; give x[None] for one row of {len(batch)} steps, Sequences(x, lengths) for several rows, or "
            f"call step(x, state) for one step of {len(batch)} rows.")  # fmt: skip
