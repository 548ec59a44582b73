"""Helpers for the operators that `torch.compile` and `torch.export` trace instead of the kernels.

Each kernel registers its operator, and one for its backward pass, at the end of its file. An operator takes tensors and
numbers and runs the same code as eager calls. Eager calls do not use it: an `autograd.Function` costs half as much.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from elman.arrays import tensor
from elman.rows import Rows


def lengths_of(rows: Any) -> Tensor:
    """Return the lengths of a layout as an operator's argument, [B] int64."""
    return tensor(Rows.of(rows).lengths)


def empty_gradients(inputs: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    """Return fake gradients for the inputs that require one."""
    return [leaf.new_empty(leaf.shape) for leaf, needed in zip(inputs, wanted, strict=True) if needed]


def at_wanted(gradients: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    """Return one entry per input: the next gradient if the input requires one, else None."""
    rest = iter(gradients)
    return [next(rest) if needed else None for needed in wanted]
