"""Contract of cells: `initial_state` and `step`. A scan repeats the step along every row of a ragged batch.

Start reading here. An LSTM, an n-gram, an HMM filter, a Kalman filter, a stack, a decoder: all are cells.
"""

from collections.abc import Callable
from typing import Any

from elman import state as states
from elman.arrays import Array
from elman.representation import brief
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State


class Cell:
    """Model that carries a state through a sequence.

    Shapes:
        initial_state: -> state, leaves [B, ...]
        step: x [B, ...], state -> y [B, ...], state
        scan: Sequences of B rows, state -> Sequences of the same rows, final state of each row
    """

    streams: bool = True  # whether it has a step; Bidirectional, and layers that contain it, read whole sequences only

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first input, for `batch_size` rows."""
        raise NotImplementedError(f"{type(self).__name__} has no initial_state")

    def step(self, x: Array, state: State) -> tuple[Any, State]:
        """Read one input per row, x [B, ...]; return the output y [B, ...] and the next state."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        """Step through every row from its first step to its last; a kernel may replace the loop, not the result."""
        return unroll(self.step, sequences, self.initial_state(len(sequences)) if state is None else state)


def unroll(
    step: Callable[[Array, State], tuple[Any, State]], sequences: Sequences, state: State
) -> tuple[Sequences, State]:
    """Repeat `step` along every row. At time t it reads the rows that have a step at t, and no others.

    Rows are ordered longest first, so those with a step at t are the first `alive[t]`, and the steps of one time are
    adjacent. This takes one reordering of the values before and one after; time and memory grow with N, not B x T.

    Raises:
        TypeError: `step` does not return a pair, or the state is not an array or a tuple of arrays.
        ValueError: the first step changes the structure of the state, or a shape in it.
    """
    for leaf in states.row_leaves(state):
        if not hasattr(leaf, "shape"):
            raise TypeError(f"{_name(step)}: expected a state of an array or a tuple of them, got {brief(leaf)}; "
                            "return such a state from initial_state.")  # fmt: skip
        check("scan", "state", leaf, f"B={len(sequences)} ...")
    plan = sequences.plan
    if not plan.alive:
        # No step is taken: an empty call of `step` gives the shapes of its outputs.
        y, _ = _pair(step, step(sequences.select([]).values, states.select(state, [])))
        return sequences.with_values(y), state
    inputs = states.split(states.select(sequences.values, plan.by_time), plan.alive)
    state = states.select(state, plan.longest_first)
    outputs: list[Any] = []
    finished: list[State] = []
    rows = len(sequences)
    for x, alive in zip(inputs, plan.alive, strict=True):
        if alive < rows:
            state, done = states.split(state, [alive, rows - alive])
            finished.append(done)
            rows = alive
        y, new = _pair(step, step(x, state))
        if not outputs:
            _check_same_structure(step, state, new)
        state = new
        outputs.append(y)
    final = states.select(states.cat([state, *reversed(finished)]), plan.back_to_rows)
    return sequences.with_values(states.select(states.cat(outputs), plan.back_to_steps)), final


def _pair(step: Callable[..., Any], result: Any) -> tuple[Any, State]:
    """Return the output and the state that a step returned."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"{_name(step)}: expected a step that returns a pair, got {brief(result)}; return y, state.")
    return result


def _check_same_structure(step: Callable[..., Any], before: State, after: State) -> None:
    """Raise unless a step returned a state of the same tuples and shapes as the state that it was given."""
    if _structure(before) != _structure(after):
        raise ValueError(f"{_name(step)}: expected a step that returns a state like the one before it, "
                         f"{brief(before)}, got {brief(after)}; return y and the state in the structure of "
                         "initial_state.")  # fmt: skip


def _structure(state: State) -> Any:
    if isinstance(state, tuple):
        return [_structure(part) for part in state]
    return tuple(state.shape) if hasattr(state, "shape") else type(state)


def _name(step: Callable[..., Any]) -> str:
    """Return `MGU.step` for a bound method."""
    name = getattr(step, "__name__", "step")
    return f"{type(step.__self__).__name__}.{name}" if hasattr(step, "__self__") else name
