"""What a search finds, and the back pointers that it is read from."""

from typing import NamedTuple

import numpy as np


class Hypothesis(NamedTuple):
    """One sequence that a model may write."""

    units: np.ndarray  # [T] int64, without the start and the end
    log_prob: float  # in nats: the sum over the units and, if it is finished, the end
    score: float  # what it is ranked by: log_prob, or that with the penalties of a beam search
    finished: bool  # whether the model wrote the end; else it was cut


class BackPointers:
    """A tree of units: each step writes one after some of the hypotheses that were alive before it.

    Args:
        rows: hypotheses alive at first, all of them empty.
        history: whether `history` is kept up as well.
    Attributes:
        length: units of each hypothesis that is alive.
        history: [R, length] the units of those alive, or None.
    """

    def __init__(self, rows: int, history: bool = False):
        self.history = np.empty((rows, 0), np.int64) if history else None
        self._parents: list[np.ndarray] = []
        self._units: list[np.ndarray] = []

    @property
    def length(self) -> int:
        return len(self._units)

    def append(self, parents: np.ndarray, units: np.ndarray) -> None:
        """Those alive now: hypothesis `parents[i]` of those before, and `units[i]` after it."""
        self._parents.append(parents)
        self._units.append(units)
        if self.history is not None:
            self.history = np.concatenate([self.history[parents], units[:, None]], 1)

    def paths(self, lengths: np.ndarray, places: np.ndarray) -> list[np.ndarray]:
        """The units of hypotheses: number `places[i]` of those that were alive at `lengths[i]` units."""
        units = np.zeros((len(lengths), lengths.max(initial=0)), np.int64)
        places = places.copy()
        for length in range(units.shape[1], 0, -1):
            long = np.flatnonzero(lengths >= length)
            units[long, length - 1] = self._units[length - 1][places[long]]
            places[long] = self._parents[length - 1][places[long]]
        return [row[:length].copy() for row, length in zip(units, lengths.tolist(), strict=True)]
