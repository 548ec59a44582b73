"""Whole rows as batches of about the same work: what a classifier or a tagger is trained and evaluated on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.data.windows import epoch_generator
from elman.shapes import check

ROWS = 4, 32  # of mean length in a usual batch, at least and at most
BATCHES = 64  # that an epoch then has, where there are rows enough


class RowBatch(NamedTuple):
    """Which rows of the data one step of training reads."""

    rows: np.ndarray  # int64 [B]
    num_steps: int  # of these rows together


def usual_steps(lengths: Any) -> int:
    """A budget of steps that trains well: 32 rows of mean length; of few rows fewer, 4 at least.

    Args:
        lengths: steps of each row, integers [R].
    Example:
        >>> usual_steps([10] * 10_000), usual_steps([10] * 1_000), usual_steps([10] * 30)
        (320, 156, 40)
    """
    counts = np.asarray(lengths)
    if not len(counts):
        return 1
    return max(1, round(float(np.clip(len(counts) / BATCHES, *ROWS) * counts.mean())))


class RowBatches:
    """Every row in exactly one batch an epoch; a batch holds as many rows as a budget of steps allows.

    Args:
        lengths: steps of each row, integers [R]; an empty row counts as one step towards the budget.
        steps: of a batch at most, unless a single row has more: it is a batch of its own.
        seed: of the order of the rows, another one each epoch; None leaves them as they are.
    Raises:
        ValueError: steps below 1, a length below 0, lengths that are no integers [R].
    Example:
        >>> batches = RowBatches([2, 3, 0, 9], steps=6).epoch(1)
        >>> [(batch.rows.tolist(), batch.num_steps) for batch in batches]
        [([0, 1, 2], 5), ([3], 9)]
    """

    def __init__(self, lengths: Any, steps: int, seed: int | None = None):
        counts = np.asarray(lengths)
        check("RowBatches", "lengths", counts, "R")
        if counts.size and (counts.dtype.kind not in "iu" or counts.min() < 0):
            got = counts.min() if counts.dtype.kind in "iu" else counts.dtype
            raise ValueError(f"RowBatches: expected lengths that are integers of at least 0, got {got}.")
        if steps < 1:
            raise ValueError(f"RowBatches: expected steps of at least 1, got {steps}.")
        self.lengths, self.steps, self.seed = counts.astype(np.int64), steps, seed

    def epoch(self, number: int) -> Sequence[RowBatch]:
        """The batches of an epoch: the same for the same number and seed, whenever it is asked."""
        count = len(self.lengths)
        order = np.arange(count) if self.seed is None else epoch_generator(self.seed, number).permutation(count)
        lengths = self.lengths[order]
        ends = np.cumsum(np.maximum(lengths, 1))  # of the rows, in steps of the budget
        batches, start, used = [], 0, 0
        while start < count:
            stop = max(start + 1, int(np.searchsorted(ends, used + self.steps, "right")))
            batches.append(RowBatch(order[start:stop], int(lengths[start:stop].sum())))
            start, used = stop, ends[stop - 1]
        return batches
