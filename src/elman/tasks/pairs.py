"""Sources and what is to be written of them, as a decoder is trained on them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from elman.data.row_batches import RowBatches
from elman.sequences import Sequences
from elman.tasks.labelled import digest


class PairBatch(NamedTuple):
    """Which pairs one step of training reads."""

    rows: np.ndarray  # int64 [B]
    num_steps: int  # of their targets, the ends included
    part: float  # of the way from the first epoch, 0, to the last, 1


class PairBatches:
    """Every pair in exactly one batch an epoch.

    Args:
        source_steps: steps of each source, integers [R].
        target_steps: units of each target, integers [R].
        steps: of a batch at most, sources and targets together.
        epochs: of the whole training.
        seed: of the order of the pairs.
    """

    def __init__(self, source_steps: np.ndarray, target_steps: np.ndarray, steps: int, epochs: int, seed: int):
        self.target_steps, self.epochs = target_steps, epochs
        self.batches = RowBatches(source_steps + target_steps + 1, steps, seed)

    def epoch(self, number: int) -> Sequence[PairBatch]:
        """The batches of an epoch: the same for the same number, whenever it is asked."""
        part = (number - 1) / (self.epochs - 1) if self.epochs > 1 else 1.0
        return [
            PairBatch(rows, int(self.target_steps[rows].sum()) + len(rows), part)
            for rows, _ in self.batches.epoch(number)
        ]


class Pairs(NamedTuple):
    """Encoded pairs."""

    sources: Sequences  # ids, NumPy
    targets: Sequences  # ids, NumPy

    def select(self, rows: np.ndarray) -> "Pairs":
        """Some of them."""
        return Pairs(self.sources.select(rows), self.targets.select(rows))

    @property
    def steps(self) -> np.ndarray:
        """[R] the steps of each pair, both sides together and the end."""
        return self.sources.lengths + self.targets.lengths + 1

    def digest(self) -> str:
        """The same for the same pairs in the same order."""
        return digest(self.sources, self.targets.values, self.targets.lengths)
