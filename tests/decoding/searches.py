"""Models small enough to try every sequence, and all the sequences."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from hypothesis import strategies as st

from elman.decoding import Constraints, Hypothesis

END = 0
NO_CONSTRAINTS = Constraints()


class Table:
    """Scores of the next unit by row, time and last unit, [B, T, V, V]; its state is (row, time), [R] each."""

    def __init__(self, rows: int, times: int, size: int, seed: int, spread: float = 2.0):
        self.rows, self.times, self.size = rows, times, size
        self.scores = np.random.default_rng(seed).normal(0, spread, (rows, times, size, size))
        self.steps: list[int] = []  # rows of each step taken

    @property
    def log_probs(self) -> np.ndarray:
        return self.scores - np.log(np.exp(self.scores).sum(-1, keepdims=True))

    def initial_state(self) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(self.rows), np.zeros(self.rows, np.int64)

    def step(self, ids, state):
        row, time = state
        self.steps.append(len(ids))
        return self.scores[row, time, ids], (row, time + 1)

    def alone(self, row: int) -> "Table":
        table = object.__new__(Table)
        table.rows, table.times, table.size, table.steps = 1, self.times, self.size, []
        table.scores = self.scores[[row]]
        return table


def repeats(units: Sequence[int], run: int) -> bool:
    runs = [tuple(units[i : i + run]) for i in range(len(units) - run + 1)]
    return len(runs) > len(set(runs))


def every(
    table: Table, row: int, max_length: int, constraints: Constraints = NO_CONSTRAINTS, length_penalty: float = 0.0
) -> list[Hypothesis]:
    """Return all possible hypotheses of a row, best first, by enumeration, independent of the searches."""
    log_probs, found = table.log_probs[row], []
    forbidden, run = set(constraints.forbidden), constraints.no_repeat_ngram
    prefix = list(constraints.prefixes[row]) if constraints.prefixes else []

    def allowed(units: list[int]) -> bool:
        """Return whether the last unit is allowed after the units before it."""
        if len(units) <= len(prefix):
            return units == prefix[: len(units)]
        seen = [tuple(units[i : i + run]) for i in range(len(units) - run)] if run else []
        return units[-1] not in forbidden and (not run or len(units) < run or tuple(units[-run:]) not in seen)

    for length in range(max_length + 1):
        for sequence in product([unit for unit in range(table.size) if unit != END], repeat=length):
            units = list(sequence)
            if not all(allowed(units[: end + 1]) for end in range(length)):
                continue
            path = [END, *units]
            total = sum(log_probs[t, path[t], path[t + 1]] for t in range(length))
            may_end = END not in forbidden and length >= max(constraints.min_length, len(prefix))
            goes_on = length < max_length and any(allowed([*units, unit]) for unit in range(table.size) if unit != END)
            if may_end:
                whole = total + log_probs[length, path[-1], END]
                found.append(Hypothesis(np.array(units, np.int64), whole, whole / (length + 1) ** length_penalty, True))
            elif not goes_on:
                found.append(
                    Hypothesis(np.array(units, np.int64), total, total / max(length, 1) ** length_penalty, False)
                )
    return sorted(found, key=lambda hypothesis: (not hypothesis.finished, -hypothesis.score))


@st.composite
def constraints(draw, rows: int, size: int, max_length: int) -> Constraints:
    units = st.integers(1, size - 1) if size > 1 else st.nothing()
    prefixes = st.lists(st.lists(units, max_size=max_length) if size > 1 else st.just([]), min_size=rows, max_size=rows)
    return Constraints(
        forbidden=draw(st.lists(st.integers(0, size - 1), max_size=1)),
        no_repeat_ngram=draw(st.integers(0, 3)),
        prefixes=draw(st.none() | prefixes),
        min_length=draw(st.integers(0, max_length)),
    )


def same(found: Sequence[Hypothesis], expected: Sequence[Hypothesis]) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.units.tolist() == theirs.units.tolist()
        assert ours.units.dtype == np.int64
        assert ours.finished == theirs.finished
        np.testing.assert_allclose((ours.log_prob, ours.score), (theirs.log_prob, theirs.score), rtol=0, atol=1e-5)
