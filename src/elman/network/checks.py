"""Checks of inputs and states from outside: one line with the place, the expected and the given value."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from elman import state as states
from elman.arrays import as_array, is_tensor, plain
from elman.declared_types import expected_type
from elman.representation import brief
from elman.shapes import check
from elman.state import State

AXES = {0: "", 1: "D", 2: "H W", 3: "C H W"}  # letters of the axes of a step
STATE_AXES = {1: "B", 2: "B H", 3: "B k-1 D", 4: "B C H W"}  # of a leaf of a state


def check_array(where: str, name: str, x: Any, step_shape: tuple[int, ...], axis: str = "N") -> np.ndarray:
    """Return inputs [N, *step_shape], contiguous: float32, or ids as int64. Masked features are NaN.

    Args:
        where: the call that an error names.
        name: the name of x in that call.
        axis: letter of the first axis.
    Raises:
        ValueError: x is of another shape.
        TypeError: x is not a NumPy array of this type.
    """
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{where}: expected {name} in a NumPy array, got {type(x).__name__}.")
    x = plain(x)
    if x.ndim == 0 or x.shape[1:] != step_shape:
        sizes = zip(AXES[len(step_shape)].split(), step_shape, strict=True)
        check(where, name, x, " ".join([axis, *(f"{letter}={size}" for letter, size in sizes)]))
    if not step_shape:
        if x.dtype.kind not in "iu":
            raise TypeError(f"{where}: expected {name} that are integer ids, got {x.dtype}.")
        return np.ascontiguousarray(x, np.int64)
    if x.dtype != np.float32:
        raise TypeError(f"{where}: expected {name} of float32, got {x.dtype}; convert with x.astype('float32').")
    return np.ascontiguousarray(x)


def check_input(
    where: str, name: str, x: Any, step_shape: tuple[int, ...], place: Callable[[int], str], axis: str = "N"
) -> np.ndarray:
    """Return inputs as `check_array` does, after a check that numbers are finite.

    Args:
        place: function that describes the place of one of the N inputs: `row 3`.
    Raises:
        ValueError: x is of another shape, or not finite.
        TypeError: x is not a NumPy array of this type.
    """
    x = check_array(where, name, x, step_shape, axis)
    if step_shape and not np.isfinite(x).all():
        at = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(f"{where}: expected finite {name}, got {x[tuple(at)]} at {place(int(at[0]))}; replace missing "
                         "values.")  # fmt: skip
    return x


def check_leaves(where: str, given: Any, example: Sequence[np.ndarray], rows: int | None = None) -> list[np.ndarray]:
    """Return the leaves of a state, contiguous, after a comparison of their number, shapes and types with an example.

    Args:
        where: the call that an error names.
        given: the state.
        example: the leaves of a state of the model.
        rows: rows of the state; None for those of the example.
    Raises:
        ValueError: the number of leaves or a shape is wrong.
        TypeError: a leaf is of another type.
    """
    leaves = list(states.row_leaves(given))
    if len(example) != len(leaves):
        raise ValueError(f"{where}: expected a state of {len(example)} leaves, got {len(leaves)}, {brief(given)}; it "
                         "is the state of another model.")  # fmt: skip
    if odd := [leaf for leaf in leaves if not isinstance(leaf, np.ndarray) and not is_tensor(leaf)]:
        raise TypeError(f"{where}: expected a state of arrays, got a leaf of {type(odd[0]).__name__}.")
    arrays = [np.ascontiguousarray(leaf if type(leaf) is np.ndarray else as_array(leaf)) for leaf in leaves]
    for array, leaf in zip(arrays, example, strict=True):
        shape = leaf.shape if rows is None else (rows, *leaf.shape[1:])
        if array.shape != shape:
            axes = zip(STATE_AXES[leaf.ndim].split(), shape, strict=True)
            check(where, "a state with a leaf", array, " ".join(f"{axis}={size}" for axis, size in axes))
        if array.dtype != leaf.dtype:
            raise TypeError(f"{where}: expected a state with a leaf of {leaf.dtype}, got {array.dtype}.")
    return arrays


def check_shared(where: str, given: Any, example: State) -> None:
    """Raise unless the shared parts of a state, whose rows have been checked, fit those of an example.

    Raises:
        ValueError: a part is of another type, or its features have another shape or type.
    """
    for part, own in zip(parts(given), parts(example), strict=True):
        if _features(part) != _features(own):
            raise ValueError(f"{where}: expected a state like {brief(example)}, got {brief(given)}; it is the state of "
                             "another model.")  # fmt: skip


def _features(part: Any) -> list[Any] | None:
    """Return types and shapes of the arrays that rows share, without the first axis; None if a part is an array."""
    if not isinstance(part, states.Shared):
        return None
    return [(leaf.dtype, leaf.shape[1:]) for leaf in states.leaves(part.arrays())]


def check_finite(where: str, leaves: Sequence[np.ndarray], initial: Sequence[np.ndarray]) -> None:
    """Raise a ValueError unless the leaves of a state are finite, or as infinite as an initial state: a maximum's."""
    for array, leaf in zip(leaves, initial, strict=True):
        finite = np.isfinite(array)
        if not finite.all() and (wrong := ~(finite | (array == leaf[:1]))).any():
            raise ValueError(f"{where}: expected finite numbers in the state, got {array[wrong][0]} at row "
                             f"{int(np.argwhere(wrong)[0, 0])}.")  # fmt: skip


def check_state(where: str, given: Any, initial: State) -> State:
    """Return a state in the structure of `initial`, an initial state of the same rows, with contiguous leaves.

    Raises:
        ValueError: the number of leaves, a shape, a shared part or a number is wrong.
        TypeError: a leaf is of another type.
    """
    example = list(states.row_leaves(initial))
    arrays = check_leaves(where, given, example)
    check_shared(where, given, initial)
    check_finite(where, arrays, example)
    kept = zip(parts(given), arrays, strict=True)
    return structured([part if isinstance(part, states.Shared) else array for part, array in kept], initial)


def check_count(where: str, name: str, value: Any, most: int) -> None:
    """Raise unless an argument is a whole number from 1 to `most`."""
    if expected := expected_type(value, int):
        raise TypeError(f"{where}: expected {name} to be {expected}, got {brief(value)}.")
    if not 1 <= value <= most:
        raise ValueError(f"{where}: expected a {name} from 1 to {most}, got {value}.")


def parts(state: State) -> list[Any]:
    """Return the arrays and shared parts of a state, in order."""
    found: list[Any] = []
    states.map_parts(found.append, state)
    return found


def structured(parts: Iterable[Any], example: State) -> State:
    """Return a state of these arrays and shared parts, in the structure of another state."""
    rest = iter(parts)
    return states.map_parts(lambda _: next(rest), example)
