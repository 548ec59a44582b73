"""Test harness of one law: a copy of the cell, random rows and states, and the comparison of results."""

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from elman import state as states
from elman.arrays import Array, is_tensor
from elman.sequences import Sequences
from elman.state import Shared, State

TOLERANCES = {"float64": 1e-10, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}  # other dtypes are compared bitwise
LENGTHS = (4, 0, 1, 7, 4, 2)

InitialState = Callable[[Any, int], State]  # a cell and a number of rows -> the initial state


class Result(NamedTuple):
    """Result of a scan."""

    values: Any  # leaves [N, ...]
    final: State  # leaves [B, ...]


class Harness:
    """Cell under test.

    Args:
        cell: a copy, which the law may change.
        steps: examples from which inputs are drawn: leaves [M, ...].
        rng: generator of rows and directions.
        tolerance: largest `|a - b| / (1 + |b|)`; None for the tolerance of the dtype.
        initial_state: replacement for `cell.initial_state`, called with the cell and the number of rows.
    """

    def __init__(
        self,
        cell: Any,
        steps: Any,
        rng: np.random.Generator,
        tolerance: float | None = None,
        initial_state: InitialState | None = None,
    ):
        self.cell, self.steps, self.rng, self.tolerance, self.given_state = cell, steps, rng, tolerance, initial_state

    def initial_state(self, rows: int) -> State:
        """Return the state of `rows` rows before their first step."""
        return self.cell.initial_state(rows) if self.given_state is None else self.given_state(self.cell, rows)

    def draw(self, lengths: Any = LENGTHS) -> tuple[Sequences, State]:
        """Return a batch of random rows, and for each a state after some steps."""
        _, state = self.cell.scan(self.rows([3] * len(lengths)), self.initial_state(len(lengths)))
        return self.rows(lengths), states.detach(state)

    def rows(self, lengths: Any) -> Sequences:
        """Return rows of steps drawn from the examples."""
        count = len(next(states.leaves(self.steps)))
        return Sequences(states.select(self.steps, self.rng.integers(count, size=sum(lengths))), lengths)

    def scan(self, x: Sequences, state: State | None) -> Result:
        y, final = self.cell.scan(x, state)
        return Result(y.values, final)

    def stepping(self, x: Sequences, state: State) -> Result:
        """Compute a scan by its definition: at each time, one step of the rows that have not ended."""
        outputs, order = [], []
        for time in range(int(x.lengths.max(initial=0))):
            alive = np.flatnonzero(x.lengths > time)
            y, new = self.cell.step(states.select(x.values, x.offsets[alive] + time), states.select(state, alive))
            place = len(alive) + np.arange(len(x))
            place[alive] = np.arange(len(alive))
            state = states.select(states.cat([new, state]), place)
            outputs.append(y)
            order.append(x.offsets[alive] + time)
        if not outputs:
            return self.scan(x, state)
        return Result(states.select(states.cat(outputs), np.argsort(np.concatenate(order))), state)

    def compare(self, got: Result, expected: Result, x: Sequences, act: str, cause: str, bitwise: bool = False) -> None:
        """Raise unless two results for `x` agree: "`act` changes the values by 0.3 at row 2, step 5; `cause`."."""
        tolerance = 0.0 if bitwise else self.tolerance
        for a, b, what in zip(got, expected, ("values", "final state"), strict=True):
            require(layout(a) == layout(b), f"{act} makes the {what} {shown(a)}, expected {shown(b)}; {cause}")
            for (name, a_leaf), (_, b_leaf) in zip(named_leaves(a, f"the {what}"), named_leaves(b), strict=True):
                found = difference(a_leaf, b_leaf, tolerance)
                if found:
                    size, place = found
                    at = f"row {x.rows[place]}, step {x.times[place]}" if what == "values" else f"row {place}"
                    raise AssertionError(f"{act} changes {name} by {size:.2g} at {at}; {cause}.")


def require(holds: bool, otherwise: str) -> None:
    """Raise unless `holds`, even if Python runs without assertions."""
    if not holds:
        raise AssertionError(f"{otherwise}.")


def time_slice(x: Sequences, start: int, stop: int) -> Sequences:
    """Return steps `start` to `stop - 1` of every row; a row that has ended has none."""
    steps = np.flatnonzero((x.times >= start) & (x.times < stop))
    return Sequences(states.select(x.values, steps), np.bincount(x.rows[steps], minlength=len(x)))


def is_module(cell: Any) -> bool:
    """Return whether the cell is a module of PyTorch, without importing it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(cell, torch.nn.Module)


def example_steps(cell: Any, rng: np.random.Generator) -> Array:
    """Return Gaussian numbers [64, input_size] as an array or tensor of the cell's dtype."""
    if not hasattr(cell, "input_size"):
        raise TypeError(f"check_cell: {type(cell).__name__} has no input_size; set self.input_size and "
                        "self.output_size, or give inputs, an array [M, ...] of steps.")  # fmt: skip
    steps = rng.standard_normal((64, cell.input_size))
    if not is_module(cell):
        return steps
    torch = sys.modules["torch"]
    weights = next((weight for weight in cell.parameters() if weight.is_floating_point()), torch.empty(0))
    return torch.from_numpy(steps).to(weights)


def named_leaves(state: State, name: str = "") -> Iterator[tuple[str, Array]]:
    """Yield the arrays of a state with their names: `the final state.c`, `the final state[0].h`."""
    if isinstance(state, Shared):
        state = state.arrays()
    if not isinstance(state, tuple):
        yield name, state
        return
    for part_name, part in zip(getattr(state, "_fields", range(len(state))), state, strict=True):
        yield from named_leaves(part, f"{name}.{part_name}" if hasattr(state, "_fields") else f"{name}[{part_name}]")


def layout(state: State) -> list[tuple[str, Any, tuple[int, ...]]]:
    """Return name, dtype and shape of each array of a state, without the number of rows."""
    return [(name, leaf.dtype, tuple(leaf.shape[1:])) for name, leaf in named_leaves(state)]


def shown(state: State) -> str:
    """Format a state for an error message: `.h float32 [5, 4], .c float32 [5, 4]`."""
    return ", ".join(f"{name} {leaf.dtype} {list(leaf.shape)}".strip() for name, leaf in named_leaves(state)) or "()"


def difference(got: Array, expected: Array, tolerance: float | None = None) -> tuple[float, int] | None:
    """Return the largest difference above the tolerance and its index on the first axis, or None.

    Args:
        tolerance: largest |a - b| / (1 + |b|); None for the tolerance of the dtype.
    """
    if tolerance is None:
        tolerance = TOLERANCES.get(str(expected.dtype).removeprefix("torch."), 0.0)
    a, b = numbers(got), numbers(expected)
    if a.shape != b.shape:
        return np.inf, 0
    with np.errstate(invalid="ignore"):
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
        wrong = (gap != 0) & ~(np.isfinite(gap) & (gap <= tolerance * (1 + np.abs(b))))
    if not wrong.any():
        return None
    worst = np.where(wrong, np.nan_to_num(gap, nan=np.inf), 0).reshape(len(a), -1).max(1)
    return float(worst.max()), int(worst.argmax())


def numbers(array: Array) -> np.ndarray:
    """Return an array as NumPy float64 (or complex128)."""
    if is_tensor(array):
        array = array.detach().cpu()
        array = (array if array.is_complex() else array.double()).numpy()
    return array if np.iscomplexobj(array) else array.astype(np.float64)
