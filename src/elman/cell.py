"""The contract: a cell is `initial_state` and `step`; a scan is the step repeated along every row of a ragged batch.

Start reading here. An LSTM, an n-gram, an HMM filter, a Kalman filter, a stack, a decoder: all are cells.
"""

from collections.abc import Callable
from typing import Any

from elman import state as states
from elman.arrays import Array
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State


class Cell:
    """A model that carries a state through a sequence.

    Shapes:
        initial_state: -> state, leaves [B, ...]
        step: x [B, ...], state -> y [B, ...], state
        scan: Sequences of B rows, state -> Sequences of the same rows, final state of each row
    """

    streams: bool = True  # whether it has a step: Bidirectional, and what holds it, reads whole sequences only

    def initial_state(self, batch_size: int) -> State:
        """The state before the first input, for `batch_size` rows."""
        raise NotImplementedError(f"{type(self).__name__} has no initial_state")

    def step(self, x: Array, state: State) -> tuple[Any, State]:
        """One input of each row: x [B, ...] -> (y [B, ...], the state after it)."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        """Every row from its first step to its last; what faster code may replace, and may not change."""
        return unroll(self.step, sequences, self.initial_state(len(sequences)) if state is None else state)


def unroll(
    step: Callable[[Array, State], tuple[Any, State]], sequences: Sequences, state: State
) -> tuple[Sequences, State]:
    """Repeat `step` along every row: at time t it sees the rows that are still alive, and no others.

    The longest rows come first, so the rows alive at t are the first `alive[t]` ones, and the steps of one time lie
    together: one reordering of the values at the start and one at the end, time and memory as N, never as B x longest.
    """
    for leaf in states.leaves(states.by_row(state)):
        check("scan", "state", leaf, f"B={len(sequences)} ...")
    plan = sequences.plan
    if not plan.alive:
        # No step is taken, so an empty call of `step` tells what its outputs would look like.
        y, _ = step(sequences.select([]).values, states.select(state, []))
        return sequences.with_values(y), state
    inputs = states.split(states.select(sequences.values, plan.by_time), plan.alive)
    state = states.select(state, plan.longest_first)
    outputs, finished = [], []
    rows = len(sequences)
    for x, alive in zip(inputs, plan.alive, strict=True):
        if alive < rows:
            state, done = states.split(state, [alive, rows - alive])
            finished.append(done)
            rows = alive
        y, state = step(x, state)
        outputs.append(y)
    final = states.select(states.cat([state, *reversed(finished)]), plan.back_to_rows)
    return sequences.with_values(states.select(states.cat(outputs), plan.back_to_steps)), final
