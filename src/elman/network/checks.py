"""Checks of inputs and states from outside: one line with the place, the expected and the given value."""

from collections.abc import Callable
from typing import Any

import numpy as np

from elman import state as states
from elman.representation import brief
from elman.shapes import check
from elman.state import State

AXES = {0: "", 1: "D", 2: "H W", 3: "C H W"}  # letters of the axes of a step
STATE_AXES = {1: "B", 2: "B H", 3: "B k-1 D"}  # of a leaf of a state


def check_input(
    where: str, name: str, x: Any, step_shape: tuple[int, ...], place: Callable[[int], str], axis: str = "N"
) -> np.ndarray:
    """Return inputs [N, *step_shape], contiguous: finite float32, or ids as int64.

    Args:
        where: the call that an error names.
        name: the name of x in that call.
        place: function that describes the place of one of the N inputs: `row 3`.
        axis: letter of the first axis.
    Raises:
        ValueError: x is of another shape, or not finite.
        TypeError: x is not a NumPy array of this type.
    """
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{where}: expected {name} in a NumPy array, got {type(x).__name__}.")
    sizes = " ".join(f"{axis}={size}" for axis, size in zip(AXES[len(step_shape)].split(), step_shape, strict=True))
    check(where, name, x, f"{axis} {sizes}".strip())
    if not step_shape:
        if x.dtype.kind not in "iu":
            raise TypeError(f"{where}: expected {name} that are integer ids, got {x.dtype}.")
        return np.ascontiguousarray(x, np.int64)
    if x.dtype != np.float32:
        raise TypeError(f"{where}: expected {name} of float32, got {x.dtype}; convert with x.astype('float32').")
    if not np.isfinite(x).all():
        at = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"{where}: expected finite {name}, got {x[tuple(at)]} at {place(int(at[0]))}; replace missing "
                         "values.")  # fmt: skip
    return np.ascontiguousarray(x)


def check_state(where: str, given: Any, initial: State) -> State:
    """Return a state in the structure of `initial`, an initial state of the same rows, with contiguous leaves.

    A leaf may be infinite where the initial state is, as that of a maximum.

    Raises:
        ValueError: the number of leaves, a shape or a number is wrong.
        TypeError: a leaf is of another type.
    """
    wanted, leaves = list(states.leaves(initial)), list(states.leaves(given))
    if len(wanted) != len(leaves):
        raise ValueError(f"{where}: expected a state of {len(wanted)} leaves, got {len(leaves)}, {brief(given)}; it is "
                         "the state of another model.")  # fmt: skip
    arrays = [np.ascontiguousarray(leaf) for leaf in leaves]
    for array, leaf in zip(arrays, wanted, strict=True):
        if array.shape != leaf.shape:
            axes = zip(STATE_AXES[leaf.ndim].split(), leaf.shape, strict=True)
            check(where, "a state with a leaf", array, " ".join(f"{axis}={size}" for axis, size in axes))
        if array.dtype != leaf.dtype:
            raise TypeError(f"{where}: expected a state with a leaf of {leaf.dtype}, got {array.dtype}.")
        wrong = ~(np.isfinite(array) | (array == leaf))
        if wrong.any():
            raise ValueError(f"{where}: expected finite numbers in the state, got {array[wrong][0]} at row "
                             f"{int(np.argwhere(wrong)[0, 0])}.")  # fmt: skip
    rest = iter(arrays)
    return states.map(lambda _: next(rest), initial)
