"""Hypotheses, and the back pointers that they are read from."""

from typing import NamedTuple

import numpy as np

from elman.representation import brief_fields


@brief_fields
class Hypothesis(NamedTuple):
    """Sequence written by a model."""

    units: np.ndarray  # [T] int64, without the start and the end
    log_prob: float  # nats: sum over the units and, if finished, the end
    score: float  # rank: log_prob, with the penalties of a beam search
    finished: bool  # True if the model wrote the end; False if the hypothesis was cut


class BackPointers:
    """Tree of units: each step appends one unit to some of the current hypotheses.

    Args:
        rows: number of hypotheses at the start, all of them empty.
        history: True stores `history` as well.
    Attributes:
        length: units of each current hypothesis.
        history: [R, length] units of the current hypotheses, or None.
    """

    def __init__(self, rows: int, history: bool = False):
        self.history = np.empty((rows, 0), np.int64) if history else None
        self._parents: list[np.ndarray] = []
        self._units: list[np.ndarray] = []

    @property
    def length(self) -> int:
        return len(self._units)

    def append(self, parents: np.ndarray, units: np.ndarray) -> None:
        """Set the current hypotheses: number `parents[i]` of the previous ones, with `units[i]` appended."""
        self._parents.append(parents)
        self._units.append(units)
        if self.history is not None:
            self.history = np.concatenate([self.history[parents], units[:, None]], 1)

    def paths(self, lengths: np.ndarray, places: np.ndarray) -> list[np.ndarray]:
        """Return the units of hypotheses: number `places[i]` of those that were current at `lengths[i]` units."""
        units = np.zeros((len(lengths), lengths.max(initial=0)), np.int64)
        places = places.copy()
        for length in range(units.shape[1], 0, -1):
            long = np.flatnonzero(lengths >= length)
            units[long, length - 1] = self._units[length - 1][places[long]]
            places[long] = self._parents[length - 1][places[long]]
        return [row[:length].copy() for row, length in zip(units, lengths.tolist(), strict=True)]
