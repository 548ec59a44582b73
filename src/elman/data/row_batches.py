"""Batches of whole rows with about the same number of time steps, for classifiers, taggers and the like."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.data.windows import epoch_generator
from elman.representation import brief_fields, call, complete
from elman.rows import Rows

ROWS = 4, 32  # least and most rows of mean length in a default batch
BATCHES = 64  # batches of an epoch to aim at between these bounds


@brief_fields
class RowBatch(NamedTuple):
    """Rows that one training update reads."""

    rows: np.ndarray  # int64 [B]
    num_steps: int  # time steps of these rows together


def usual_steps(lengths: Any) -> int:
    """Return a number of time steps per batch that trains well: 32 rows of mean length, down to 4 for small data.

    Args:
        lengths: time steps of each row, integers [R].
    Example:
        >>> usual_steps([10] * 10_000), usual_steps([10] * 1_000), usual_steps([10] * 30)
        (320, 156, 40)
    """
    counts = np.asarray(lengths)
    if not len(counts):
        return 1
    return max(1, round(float(np.clip(len(counts) / BATCHES, *ROWS) * counts.mean())))


class RowBatches:
    """Batches of rows: each epoch has every row in exactly one batch, and a batch is filled up to `steps` time steps.

    Args:
        lengths: time steps of each row, integers [R]; an empty row counts as one step.
        steps: upper bound of the time steps of a batch; a longer row is a batch of its own.
        seed: seed of the order of the rows, which differs in each epoch; None keeps their order.
    Raises:
        ValueError: steps is below 1, or as `Rows`.
    Example:
        >>> batches = RowBatches([2, 3, 0, 9], steps=6).epoch(1)
        >>> [(batch.rows.tolist(), batch.num_steps) for batch in batches]
        [([0, 1, 2], 5), ([3], 9)]
    """

    def __init__(self, lengths: Any, steps: int, seed: int | None = None):
        if steps < 1:
            raise ValueError(f"RowBatches: expected steps of at least 1, got {steps}.")
        self.lengths, self.steps, self.seed = Rows.of(lengths, where="RowBatches").lengths, steps, seed

    @complete
    def __repr__(self) -> str:
        return call("RowBatches", f"{len(self.lengths):,} rows", f"batches of up to {self.steps:,} steps")

    def epoch(self, number: int) -> Sequence[RowBatch]:
        """Return the batches of an epoch: the same batches for the same number and seed."""
        count = len(self.lengths)
        order = np.arange(count) if self.seed is None else epoch_generator(self.seed, number).permutation(count)
        lengths = self.lengths[order]
        ends = np.cumsum(np.maximum(lengths, 1))  # steps used up to the end of each row
        batches, start, used = [], 0, 0
        while start < count:
            stop = max(start + 1, int(np.searchsorted(ends, used + self.steps, "right")))
            batches.append(RowBatch(order[start:stop], int(lengths[start:stop].sum())))
            start, used = stop, ends[stop - 1]
        return batches
