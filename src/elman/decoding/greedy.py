"""Greedy search and sampling: one hypothesis per row, of the most probable or of random units."""

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np

from elman import state as states
from elman.arrays import Array
from elman.data.units import BOUNDARY
from elman.decoding.constraints import Constraints, Live, Rules
from elman.decoding.hypothesis import BackPointers, Hypothesis
from elman.decoding.sampling import Sampling
from elman.decoding.steps import Step
from elman.state import State

Choose = Callable[[Array, Live], tuple[np.ndarray, np.ndarray]]  # a unit per hypothesis, and its log-probability

NO_CONSTRAINTS = Constraints()


def greedy(
    step: Step,
    state: State,
    rows: int,
    *,
    max_length: int | Sequence[int],
    start: int = BOUNDARY,
    end: int = BOUNDARY,
    constraints: Constraints = NO_CONSTRAINTS,
) -> list[Hypothesis]:
    """Write the most probable unit at every step.

    Rows that are done leave the batch. After `max_length` units one more step decides whether the end follows. If it
    does not, or if the constraints allow no unit, the hypothesis is cut: it is not `finished`.

    Args:
        step: reads units and returns scores of the next ones.
        state: state of `rows` rows, before `start` is read.
        rows: number of rows, B.
        max_length: upper bound of the number of units, for all rows or per row [B].
        start, end: unit that is read first, and unit that ends a hypothesis. `Hypothesis.units` contains neither.
        constraints: units that must or must not be written.
    Returns:
        one hypothesis per row.
    Raises:
        ValueError: scores are not finite, or constraints contradict each other. An error about a row is a `RowError`.
    Example:
        >>> scores = np.log([[0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])  # next unit, given the last one
        >>> greedy(lambda ids, state: (scores[ids], state), (), 1, max_length=10)[0].units
        array([1, 2])
    """
    rules = Rules("greedy", constraints, rows, max_length, end)

    def most_probable(scores: Array, live: Live) -> tuple[np.ndarray, np.ndarray]:
        units, log_probs = rules.best(scores, 1, live)
        place = log_probs.argmax(1), np.arange(len(units))
        return units[place[1], place[0]], log_probs[place[1], place[0]]

    return _write(step, state, rows, rules, most_probable, start, end)


def sample(
    step: Step,
    state: State,
    rows: int,
    sampling: Sampling,
    generator: "np.random.Generator",
    *,
    max_length: int | Sequence[int],
    start: int = BOUNDARY,
    end: int = BOUNDARY,
    constraints: Constraints = NO_CONSTRAINTS,
) -> list[Hypothesis]:
    """Draw every unit from the model's distribution, modified by `sampling`, among the allowed units.

    Everything else is as in `greedy`. `log_prob` is the log-probability under the unmodified model.
    """
    rules = Rules("sample", constraints, rows, max_length, end)

    def draw(scores: Array, live: Live) -> tuple[np.ndarray, np.ndarray]:
        log_probs = rules.log_probs(scores, live)
        units = np.zeros(len(log_probs), np.int64)
        some = np.flatnonzero(log_probs.max(1) > -np.inf)
        units[some] = sampling.draw(log_probs[some], generator)
        return units, log_probs[np.arange(len(units)), units]

    return _write(step, state, rows, rules, draw, start, end)


def _write(step: Step, state: State, rows: int, rules: Rules, choose: Choose, start: int, end: int) -> list[Hypothesis]:
    pointers = BackPointers(rows, rules.reads_history)
    live, ids, totals = np.arange(rows), np.full(rows, start), np.zeros(rows)
    lengths, places = np.zeros((2, rows), np.int64)
    log_probs, finished = np.zeros(rows), np.zeros(rows, bool)
    for length in count():
        if not len(live):
            break
        scores, state = step(ids, state)
        ids, gains = choose(scores, Live(live, length, pointers.history))
        ended = (ids == end) & (gains > -np.inf)
        going = ~ended & (gains > -np.inf) & (length < rules.max_length[live])
        gone = live[~going]
        lengths[gone], places[gone], finished[gone] = length, np.flatnonzero(~going), ended[~going]
        log_probs[gone] = np.where(ended, totals + gains, totals)[~going]
        totals += gains
        if len(gone):
            kept = np.flatnonzero(going)
            state, live, ids, totals = states.select(state, kept), live[kept], ids[kept], totals[kept]
            pointers.append(kept, ids)
        else:
            pointers.append(np.arange(len(ids)), ids)
    found = zip(pointers.paths(lengths, places), log_probs.tolist(), finished.tolist(), strict=True)
    return [Hypothesis(units, log_prob, log_prob, done) for units, log_prob, done in found]
