"""What a hypothesis may hold, and the next units that are left to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from elman.arrays import Array, is_tensor
from elman.kernels.best import best
from elman.shapes import check


@dataclass(frozen=True)
class Constraints:
    """What every hypothesis of a search must hold and may not hold.

    The probabilities stay the model's own: what is forbidden is left out, and its share goes to nobody.

    Args:
        forbidden: units that are never written; the end may be one of them.
        no_repeat_ngram: no run of this many units stands twice in a hypothesis; 0 allows all.
        prefixes: for each row the units that its hypotheses begin with; may be empty. A prefix stands as it is,
            whatever the other constraints say.
        min_length: the end comes after this many units or more.
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
    """The hypotheses that go on, sorted by row."""

    rows: np.ndarray  # [R] the row of the search that each is of
    length: int  # units of each
    history: np.ndarray | None  # [R, length] their units, where `Rules.reads_history`


class Rules:
    """Constraints and lengths of one search, checked against each other.

    Attributes:
        max_length: [B] of each row.
        reads_history: whether `Live.history` is needed.
    """

    def __init__(self, where: str, constraints: Constraints, rows: int, max_length: int | Sequence[int], end: int):
        self._where, self._end, self._constraints = where, end, constraints
        self._forbidden = np.unique(np.asarray(constraints.forbidden, np.int64))
        self.reads_history = constraints.no_repeat_ngram > 0
        self.max_length = self._lengths(max_length, rows)
        self._prefix_lengths, self._prefixes = self._prefix_table(rows)

    def best(self, scores: Array, count: int, live: Live) -> tuple[np.ndarray, np.ndarray]:
        """The `count` best next units of each hypothesis, or more, or all that are left.

        Returns:
            units [R, k], likeliest first, and their log-probabilities; -inf marks what is not allowed.
        """
        size = self._size(scores, live)
        blocked = self._blocked(live, size)  # [R x V]: numbers of the pairs
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
        """The log-probabilities of all next units, [R, V]; -inf marks what is not allowed."""
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
            raise ValueError(
                f"row {short[0]}: expected a max_length of at least min_length={self._constraints.min_length}, "
                f"got {lengths[short[0]]}."
            )
        return lengths

    def _prefix_table(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """The length of each row's prefix [B], and the prefixes [B, T], ragged at the right."""
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
                raise ValueError(f"row {row}: its prefix holds unit {self._end}, the end; leave it out.")
            if len(prefix) > self.max_length[row]:
                raise ValueError(f"row {row}: expected a prefix of at most max_length={self.max_length[row]} units, "
                                 f"got {len(prefix)}.")  # fmt: skip
        return lengths, table

    def _size(self, scores: Array, live: Live) -> int:
        """V, if all units that are named are below it."""
        check(self._where, "scores", scores, f"R={len(live.rows)} V")
        size = int(scores.shape[1])
        for name, unit in (("the end", self._end), ("a forbidden unit", self._forbidden.max(initial=0))):
            if unit >= size:
                raise ValueError(f"{self._where}: expected {name} below V={size}, got {unit}.")
        return size

    def _forced(self, live: Live, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The hypotheses that are within their prefix, and the next unit of it."""
        if live.length >= self._prefixes.shape[1]:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        forced = np.flatnonzero(self._prefix_lengths[live.rows] > live.length)
        wanted = self._prefixes[live.rows[forced], live.length]
        if (wrong := np.flatnonzero((wanted < 0) | (wanted >= size))).size:
            raise ValueError(f"row {live.rows[forced[wrong[0]]]}: expected a prefix of units from 0 to {size - 1}, "
                             f"got {wanted[wrong[0]]}.")  # fmt: skip
        return forced, wanted

    def _blocked(self, live: Live, size: int) -> np.ndarray:
        """The units that would write a run a second time: hypothesis x V + unit, sorted, each once."""
        run, length = self._constraints.no_repeat_ngram, live.length
        if live.history is None or length < run:
            return np.empty(0, np.int64)
        again = np.ones((len(live.rows), length - run + 1), bool)  # of every run but its last unit
        for place in range(run - 1):
            again &= live.history[:, place : place + again.shape[1]] == live.history[:, [length - run + 1 + place]]
        hypotheses, starts = again.nonzero()
        return np.unique(hypotheses * size + live.history[hypotheses, starts + run - 1])

    def _check_finite(self, values: np.ndarray, live: Live) -> None:
        """`values`: the largest of each hypothesis, which no NaN and no infinity gets past."""
        if (wrong := np.flatnonzero(~np.isfinite(values))).size:
            raise ValueError(
                f"row {live.rows[wrong[0]]}: expected finite scores after {live.length} units, got NaN, +inf or "
                "nothing but -inf; the model has weights or inputs that are not finite."
            )

    def _check_forced(self, log_probs: np.ndarray, rows: np.ndarray, wanted: np.ndarray) -> None:
        if (wrong := np.flatnonzero(log_probs == -np.inf)).size:
            raise ValueError(f"row {rows[wrong[0]]}: unit {wanted[wrong[0]]} of its prefix has probability 0 there.")


def _at(scores: Array, rows: np.ndarray, units: np.ndarray) -> np.ndarray:
    return _doubles(scores[rows, units]) if len(rows) else np.empty(0)


def _doubles(array: Array) -> np.ndarray:
    return array.detach().double().cpu().numpy() if is_tensor(array) else np.asarray(array, np.float64)
