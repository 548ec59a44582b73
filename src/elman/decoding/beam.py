"""Beam search: several hypotheses per row, of which the best are kept (Graves 2012, arXiv:1211.3711)."""

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np

from elman import state as states
from elman.data.units import BOUNDARY
from elman.decoding.constraints import Constraints, Live, Rules
from elman.decoding.greedy import NO_CONSTRAINTS
from elman.decoding.hypothesis import BackPointers, Hypothesis
from elman.decoding.steps import Step
from elman.state import State

LARGEST_PENALTY = 20  # length ** penalty is finite for any length
Coverage = Callable[[np.ndarray, list[np.ndarray]], np.ndarray]  # rows [n], units of n hypotheses -> penalties [n]


def beam_search(
    step: Step,
    state: State,
    rows: int,
    *,
    beam: int = 5,
    n_best: int = 1,
    max_length: int | Sequence[int],
    length_penalty: float = 1.0,
    coverage: Coverage | None = None,
    start: int = BOUNDARY,
    end: int = BOUNDARY,
    constraints: Constraints = NO_CONSTRAINTS,
) -> list[list[Hypothesis]]:
    """Return the `n_best` best hypotheses of each row found with a beam of width `beam`, best first::

        score = log_prob / length ** length_penalty - coverage        the length includes the end

    At each step the continuations of a row are ranked by log-probability. Hypotheses among the best `beam` that write
    the end are finished; the best `beam` of the others are extended. A hypothesis is dropped if no continuation can
    beat the `n_best`-th finished score: its bound is its log-probability over the most favourable remaining length.
    Once `beam` hypotheses are finished, one whose current score does not beat that score is dropped too. A row is
    done when no hypothesis is left to extend. So a beam as wide as the number of continuations, at most V **
    (max_length + 1), finds the same as exhaustive search, and a beam of 1 the same as `greedy`.

    A hypothesis of `max_length` units without the end, or without an allowed continuation, is cut: it is not
    `finished`, and is ranked behind all finished ones, since its probability lacks the end. Rows that are done leave
    the batch. One `elman.state.select` per step reorders the states.

    Args:
        step, state, rows, max_length, start, end, constraints: as for `greedy`.
        beam: hypotheses of a row that are extended; may exceed the number of units.
        n_best: hypotheses to return per row, at most `beam`; fewer are returned if fewer exist.
        length_penalty: 0 ranks by log-probability, 1 by log-probability per unit; above 1 favours long hypotheses.
        coverage: called with the rows and the units of hypotheses that are done; returns a penalty of at least 0 for
            each of them.
    Returns:
        hypotheses of each row.
    Raises:
        ValueError: a setting is out of range, or for the same reasons as `greedy`.
    Example:
        >>> scores = np.log([[0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])  # next unit, given the last one
        >>> found = beam_search(lambda ids, state: (scores[ids], state), (), 1, n_best=2, max_length=10)[0]
        >>> [(hypothesis.units.tolist(), round(hypothesis.score, 3)) for hypothesis in found]
        [([1, 2], -0.459), ([1, 1, 2], -0.747)]
    """
    if not 1 <= n_best <= beam:
        raise ValueError(f"beam_search: expected 1 <= n_best <= beam, got n_best={n_best} and beam={beam}.")
    if not abs(length_penalty) <= LARGEST_PENALTY:
        raise ValueError(f"beam_search: expected a length_penalty of at most {LARGEST_PENALTY}, got {length_penalty}.")
    rules = Rules("beam_search", constraints, rows, max_length, end)
    pointers = BackPointers(rows, rules.reads_history)
    done = _Done(rows, beam, n_best, length_penalty, coverage, pointers)
    row, log_prob, ids = np.arange(rows), np.zeros(rows), np.full(rows, start)  # of the hypotheses to extend
    for length in count():
        if not len(row):
            break
        scores, state = step(ids, state)
        units, gains = rules.best(scores, beam + 1, Live(row, length, pointers.history))
        totals = log_prob[:, None] + gains  # [R, k]
        first = np.flatnonzero(np.diff(row, prepend=-1))  # first hypothesis of each row
        chosen, values = _rank(totals, row, first, 2 * beam)
        words = units.reshape(-1)[chosen]
        parents = chosen // units.shape[1]
        real = values > -np.inf
        ends = real & (words == end)
        going = real & ~ends & (length < rules.max_length[row[first]])[:, None]
        going &= np.cumsum(going, 1) <= beam
        ends = ends[:, :beam]

        cut = (gains.max(1) == -np.inf) | (length >= rules.max_length[row])
        if ends.any():
            enders = parents[:, :beam][ends]
            cut[enders] = False
            done.add(row[enders], length, enders, values[:, :beam][ends], finished=True)
        if cut.any():
            cut = np.flatnonzero(cut)
            done.add(row[cut], length, cut, log_prob[cut], finished=False)

        kept, log_prob, ids = parents[going], values[going], words[going]
        hopeful = done.may_win(
            row[kept], log_prob, length + 1, max(length + 1, constraints.min_length), rules.max_length[row[kept]]
        )
        if not hopeful.all():
            kept, log_prob, ids = kept[hopeful], log_prob[hopeful], ids[hopeful]
        if not np.array_equal(kept, np.arange(len(row))):
            state, row = states.select(state, kept), row[kept]
        pointers.append(kept, ids)
    return done.best()


class _Done:
    """Hypotheses that are finished or cut."""

    def __init__(
        self,
        rows: int,
        beam: int,
        n_best: int,
        length_penalty: float,
        coverage: Coverage | None,
        pointers: BackPointers,
    ):
        self._beam, self._penalty, self._coverage, self._pointers = beam, length_penalty, coverage, pointers
        self._finished = np.zeros(rows, np.int64)  # number of each row
        self._tops = np.full((rows, n_best), -np.inf)  # best scores of each row, worst first
        self._found: list[tuple[np.ndarray, ...]] = []

    def add(self, rows: np.ndarray, length: int, places: np.ndarray, log_probs: np.ndarray, *, finished: bool) -> None:
        """Add hypotheses of `length` units, at these `places` among those that were being extended."""
        lengths = np.full(len(rows), length)
        scores = log_probs / float(max(length + finished, 1)) ** self._penalty
        if self._coverage is not None:
            penalties = np.asarray(self._coverage(rows, self._pointers.paths(lengths, places)), np.float64)
            if penalties.shape != rows.shape or not (penalties >= 0).all():
                raise ValueError(f"beam_search: expected coverage to return {len(rows)} penalties of at least 0, "
                                 f"got {penalties}.")  # fmt: skip
            scores = scores - penalties
        self._found.append((rows, lengths, places, log_probs, scores, np.full(len(rows), finished)))
        if finished:
            self._note(rows, scores)

    def may_win(
        self, rows: np.ndarray, log_probs: np.ndarray, length: int, shortest: int, longest: np.ndarray
    ) -> np.ndarray:
        """Return which hypotheses of `length` units are worth extending, to between `shortest` and `longest` units."""
        worst, log_probs = self._tops[rows, 0], np.minimum(log_probs, 0)
        bounds = log_probs / (longest + 1.0 if self._penalty > 0 else shortest + 1.0) ** self._penalty
        stands = log_probs / float(length) ** self._penalty
        return (bounds > worst) & ((self._finished[rows] < self._beam) | (stands > worst))

    def best(self) -> list[list[Hypothesis]]:
        """Return the best hypotheses of each row, best first: finished ones, then cut ones."""
        results: list[list[Hypothesis]] = [[] for _ in self._tops]
        if not self._found:
            return results
        columns = [np.concatenate(parts) for parts in zip(*self._found, strict=True)]
        rows, _, _, _, scores, finished = columns
        order = np.lexsort([-scores, ~finished, rows])
        ranks = np.arange(len(order)) - np.searchsorted(rows[order], rows[order])
        order = order[ranks < self._tops.shape[1]]
        rows, lengths, places, log_probs, scores, finished = (column[order] for column in columns)
        paths = self._pointers.paths(lengths, places)
        values = zip(rows.tolist(), paths, log_probs.tolist(), scores.tolist(), finished.tolist(), strict=True)
        for row, units, log_prob, score, done in values:
            results[row].append(Hypothesis(units, log_prob, score, done))
        return results

    def _note(self, rows: np.ndarray, scores: np.ndarray) -> None:
        """Merge finished scores, sorted by row, into the best scores of each row."""
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        sizes = np.diff(first, append=len(rows))
        merged = np.full((len(first), sizes.max() + self._tops.shape[1]), -np.inf)
        merged[:, : self._tops.shape[1]] = self._tops[rows[first]]
        group = np.repeat(np.arange(len(first)), sizes)
        merged[group, self._tops.shape[1] + np.arange(len(rows)) - first[group]] = scores
        merged.sort(1)
        self._tops[rows[first]] = merged[:, -self._tops.shape[1] :]
        self._finished[rows[first]] += sizes


def _rank(totals: np.ndarray, row: np.ndarray, first: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best continuations of G rows, best first: their positions in totals [R, k], and values, [G, most]."""
    hypotheses, choices = totals.shape
    sizes = np.diff(first, append=hypotheses)
    width = int(sizes.max())
    if hypotheses == len(first) * width:
        grid = totals.reshape(len(first), -1)
    else:
        group = np.repeat(np.arange(len(first)), sizes)
        padded = np.full((len(first), width, choices), -np.inf)
        padded[group, np.arange(hypotheses) - first[group]] = totals
        grid = padded.reshape(len(first), -1)
    order = np.argsort(-grid, 1, kind="stable")[:, :most]
    chosen = np.minimum(first[:, None] * choices + order, totals.size - 1)  # padding is -inf, and never chosen
    return chosen, np.take_along_axis(grid, order, 1)
