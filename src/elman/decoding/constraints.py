"""Constraints on hypotheses, and the next units that they allow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from elman.arrays import Array, is_tensor
from elman.errors import RowError
from elman.kernels.best import best
from elman.shapes import check


@dataclass(frozen=True)
class Constraints:
    """Constraints on every hypothesis of a search.

    The probabilities are those of the model, without renormalisation over the allowed units.

    Args:
        forbidden: units that are never written; may include the end.
        no_repeat_ngram: a run of this many units occurs at most once in a hypothesis; 0 allows all runs.
        prefixes: per row, the units that its hypotheses begin with; may be empty. The other constraints do not apply
            to a prefix.
        min_length: least number of units before the end.
    Raises:
        ValueError: a value is out of range.
    """

    forbidden: Sequence[int] = ()
    no_repeat_ngram: int = 0
    prefixes: Sequence[Sequence[int]] | None = None
    min_length: int = 0

    def __post_init__(self) -> None:
        for name in ("no_repeat_ngram", "min_length"):
            if (value := getattr(self, name)) < 0:
                raise ValueError(f"Constraints: expected {name} of at least 0, got {value}.")
        if len(self.forbidden) and min(self.forbidden) < 0:
            raise ValueError(f"Constraints: expected forbidden units of at least 0, got {min(self.forbidden)}.")


class Live(NamedTuple):
    """Hypotheses to extend, sorted by row."""

    rows: np.ndarray  # [R] row of the search that each belongs to
    length: int  # units of each hypothesis
    history: np.ndarray | None  # [R, length] their units, if `Rules.reads_history`


class Rules:
    """Constraints and lengths of one search, checked against each other.

    Attributes:
        max_length: [B] upper bound of the units of each row.
        reads_history: True if `Live.history` is needed.
    """

    def __init__(self, where: str, constraints: Constraints, rows: int, max_length: int | Sequence[int], end: int):
        self._where, self._end, self._constraints = where, end, constraints
        self._forbidden = np.unique(np.asarray(constraints.forbidden, np.int64))
        self.reads_history = constraints.no_repeat_ngram > 0
        self.max_length = self._lengths(max_length, rows)
        self._prefix_lengths, self._prefixes = self._prefix_table(rows)

    def best(self, scores: Array, count: int, live: Live) -> tuple[np.ndarray, np.ndarray]:
        """Return at least the `count` best next units of each hypothesis, or all that are allowed.

        Returns:
            units [R, k], most probable first, and their log-probabilities; -inf marks units that are not allowed.
        """
        size = self._size(scores, live)
        blocked = self._blocked(live, size)  # hypothesis x V + unit
        early = live.length < self._constraints.min_length
        spare = int(np.bincount(blocked // size).max(initial=0)) + len(self._forbidden) + early
        units, log_probs = best(scores, min(size, count + spare))
        log_probs = np.array(log_probs, np.float64)
        self._check_finite(log_probs[:, 0], live)
        forced, wanted = self._forced(live, size)
        gains = log_probs[forced, 0] + _at(scores, forced, wanted) - _at(scores, forced, units[forced, 0])
        if len(self._forbidden):
            log_probs[np.isin(units, self._forbidden)] = -np.inf
        if len(blocked):
            log_probs[np.isin(units + size * np.arange(len(units))[:, None], blocked)] = -np.inf
        if early:
            log_probs[units == self._end] = -np.inf
        if len(forced):
            self._check_forced(gains, live.rows[forced], wanted)
            units[forced, 0], log_probs[forced, 0] = wanted, gains
            log_probs[forced, 1:] = -np.inf
        return units, log_probs

    def log_probs(self, scores: Array, live: Live) -> np.ndarray:
        """Return the log-probabilities of all next units, [R, V]; -inf marks units that are not allowed."""
        size = self._size(scores, live)
        log_probs = _doubles(scores).copy()
        largest = log_probs.max(1, keepdims=True)
        self._check_finite(largest[:, 0], live)
        log_probs -= largest
        log_probs -= np.log(np.exp(log_probs).sum(1, keepdims=True))
        forced, wanted = self._forced(live, size)
        kept = log_probs[forced, wanted]
        log_probs[:, self._forbidden] = -np.inf
        log_probs.reshape(-1)[self._blocked(live, size)] = -np.inf
        if live.length < self._constraints.min_length:
            log_probs[:, self._end] = -np.inf
        log_probs[forced] = -np.inf
        log_probs[forced, wanted] = kept
        self._check_forced(kept, live.rows[forced], wanted)
        return log_probs

    def _lengths(self, max_length: int | Sequence[int], rows: int) -> np.ndarray:
        lengths = np.asarray(max_length, np.int64)
        if lengths.ndim:
            check(self._where, "max_length", lengths, f"B={rows}")
        lengths = np.broadcast_to(lengths, rows)
        if (short := np.flatnonzero(lengths < self._constraints.min_length)).size:
            least = self._constraints.min_length
            raise RowError(short[0], f"expected a max_length of at least min_length={least}, got {lengths[short[0]]}.")
        return lengths

    def _prefix_table(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the length of each row's prefix [B], and the prefixes [B, T], padded at the right."""
        prefixes = self._constraints.prefixes
        if prefixes is None:
            return np.zeros(rows, np.int64), np.empty((rows, 0), np.int64)
        if len(prefixes) != rows:
            raise ValueError(f"{self._where}: expected a prefix for each of {rows} rows, got {len(prefixes)}.")
        lengths = np.array([len(prefix) for prefix in prefixes], np.int64)
        table = np.zeros((rows, lengths.max(initial=0)), np.int64)
        for row, prefix in enumerate(prefixes):
            table[row, : len(prefix)] = prefix
            if self._end in table[row, : len(prefix)]:
                raise RowError(row, f"the prefix contains the end (unit {self._end}); leave it out.")
            if len(prefix) > self.max_length[row]:
                most = self.max_length[row]
                raise RowError(row, f"expected a prefix of at most max_length={most} units, got {len(prefix)}.")
        return lengths, table

    def _size(self, scores: Array, live: Live) -> int:
        """Return V, after a check that the end and the forbidden units are below it."""
        check(self._where, "scores", scores, f"R={len(live.rows)} V")
        size = int(scores.shape[1])
        for name, unit in (("the end", self._end), ("a forbidden unit", self._forbidden.max(initial=0))):
            if unit >= size:
                raise ValueError(f"{self._where}: expected {name} below V={size}, got {unit}.")
        return size

    def _forced(self, live: Live, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the hypotheses that are within their prefix, and the next unit of each prefix."""
        if live.length >= self._prefixes.shape[1]:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        forced = np.flatnonzero(self._prefix_lengths[live.rows] > live.length)
        wanted = self._prefixes[live.rows[forced], live.length]
        if (wrong := np.flatnonzero((wanted < 0) | (wanted >= size))).size:
            row = live.rows[forced[wrong[0]]]
            raise RowError(row, f"expected a prefix of units from 0 to {size - 1}, got {wanted[wrong[0]]}.")
        return forced, wanted

    def _blocked(self, live: Live, size: int) -> np.ndarray:
        """Return the units that would repeat a run, as sorted unique numbers: hypothesis x V + unit."""
        run, length = self._constraints.no_repeat_ngram, live.length
        if live.history is None or length < run:
            return np.empty(0, np.int64)
        again = np.ones((len(live.rows), length - run + 1), bool)  # runs that agree in all but their last unit
        for place in range(run - 1):
            again &= live.history[:, place : place + again.shape[1]] == live.history[:, [length - run + 1 + place]]
        hypotheses, starts = again.nonzero()
        return np.unique(hypotheses * size + live.history[hypotheses, starts + run - 1])

    def _check_finite(self, values: np.ndarray, live: Live) -> None:
        """Raise unless the largest scores are finite; NaN and infinity show in the largest score of a hypothesis."""
        if (wrong := np.flatnonzero(~np.isfinite(values))).size:
            raise RowError(
                live.rows[wrong[0]],
                f"expected finite scores after {live.length} units, got NaN, +inf or only -inf; the weights or the "
                "inputs of the model are not finite.",
            )

    def _check_forced(self, log_probs: np.ndarray, rows: np.ndarray, wanted: np.ndarray) -> None:
        if (wrong := np.flatnonzero(log_probs == -np.inf)).size:
            raise RowError(rows[wrong[0]], f"unit {wanted[wrong[0]]} of the prefix has probability 0 at its place.")


def _at(scores: Array, rows: np.ndarray, units: np.ndarray) -> np.ndarray:
    return _doubles(scores[rows, units]) if len(rows) else np.empty(0)


def _doubles(array: Array) -> np.ndarray:
    return array.detach().double().cpu().numpy() if is_tensor(array) else np.asarray(array, np.float64)
