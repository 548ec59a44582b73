"""Comparison of a given state with the state that a cell expects."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elman import state as states
from elman.state import Shared, State


@dataclass(frozen=True, slots=True)
class Leaf:
    """Dtype and sizes of an array of a state, without the axis of rows."""

    dtype: torch.dtype
    sizes: tuple[int, ...]


def form(blank: State) -> Any:
    """Return the structure of a state: tuples of `Leaf`, and the types of shared parts."""
    if isinstance(blank, tuple):
        return tuple(map(form, blank))
    return Leaf(blank.dtype, tuple(blank.shape[1:])) if isinstance(blank, Tensor) else type(blank)


def fits(state: State, expected: Any, rows: int) -> bool:
    """Return whether a state has a structure, with its dtypes and sizes, and `rows` rows."""
    if type(expected) is Leaf:
        return isinstance(state, Tensor) and state.dtype is expected.dtype and state.shape == (rows, *expected.sizes)
    if type(expected) is tuple:
        same = isinstance(state, tuple) and len(state) == len(expected)
        return same and all(fits(part, other, rows) for part, other in zip(state, expected, strict=True))
    return isinstance(state, expected) and len(state.rows) == rows


def same_kinds(state: State, blank: State) -> bool:
    """Return whether the leaves that both states have are of the same kinds and dtypes."""
    pairs = zip(*(states.row_leaves(one) for one in (state, blank)), strict=False)
    return all(isinstance(leaf, type(wanted)) and leaf.dtype == wanted.dtype for leaf, wanted in pairs)


def described(state: State, rows: str = "") -> str:
    """Describe a state: `(float32 [3, 4], int64 [3])`. `rows` stands for the first axis."""
    if isinstance(state, tuple):
        return f"({', '.join(described(part, rows) for part in state)})"
    if isinstance(state, Shared):
        return f"{type(state).__name__} of {rows or len(state.rows)} rows"
    if not isinstance(state, Tensor):
        return type(state).__name__
    axes = [rows, *state.shape[1:]] if rows else state.shape
    return f"{str(state.dtype).removeprefix('torch.')} [{', '.join(map(str, axes))}]"
