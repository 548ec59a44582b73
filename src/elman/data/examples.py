"""Examples of a task: rows with their targets, then the same as numbers, then batches of them."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from elman.data.row_batches import RowBatch, RowBatches
from elman.errors import counted_as, renumbered
from elman.representation import brief_fields, call, complete
from elman.sequences import Sequences

PROBE_ROWS, PROBE_STEPS = 64, 2000  # of a `ProbeLoss`


@brief_fields
@dataclass(frozen=True)
class Examples:
    """Rows and their targets, as a task is given them.

    Args:
        inputs: rows, or documents.
        targets: one per row, in a list or an array; None if the task learns from rows alone.
        keys: one per row, or a collection per row: classes or tags that must stay in the training part.
        groups: one per row; rows of a group are held out together.
        files: names of the files that the rows were read from, if the task has read them itself.
        kind: what the number of a row counts in an error: `row` or `validation row`.
        numbers: [B] number of each row in the data of the caller; None if they are numbered from 0.
    """

    inputs: Sequence[Any]
    targets: Any = None
    keys: Sequence[Any] | None = None
    groups: Sequence[Any] | None = None
    files: Sequence[str] = ()
    kind: str = "row"
    numbers: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def select(self, rows: np.ndarray) -> "Examples":
        """Return some of the rows, which keep their numbers."""
        numbers = rows if self.numbers is None else self.numbers[rows]
        parts = {name: pick(getattr(self, name), rows) for name in ("inputs", "targets", "keys", "groups")}
        return replace(self, **parts, numbers=numbers)

    @contextmanager
    def numbered(self) -> Iterator[None]:
        """Raise errors about row `i` of these examples as errors about the row of the caller's data."""
        numbers = range(len(self)) if self.numbers is None else self.numbers.tolist()
        with counted_as(self.kind), renumbered(numbers):
            yield


@brief_fields
@dataclass(frozen=True)
class Encoded:
    """Examples as numbers.

    Args:
        inputs: `Sequences`, an array [B, ...], or a value with `select(rows)`; its `arrays`, if it has any, identify
            it.
        targets: the same, of the targets.
        steps: [B] int64, steps of each row: batches are filled by them.
    """

    inputs: Any
    targets: Any
    steps: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    def select(self, rows: np.ndarray) -> "Encoded":
        """Return some of the rows, without a copy if they are all rows in their order."""
        if np.array_equal(rows, np.arange(len(self))):
            return self
        return Encoded(pick(self.inputs, rows), pick(self.targets, rows), self.steps[rows])

    def first(self, steps: int = PROBE_STEPS) -> "Encoded":
        """Return the first rows that have at most `steps` steps together; at least one row."""
        return self.select(np.arange(min(len(self), max(1, int((np.cumsum(self.steps) <= steps).sum())))))


@brief_fields
class Batch(NamedTuple):
    """Examples of one update."""

    examples: Encoded
    num_steps: int  # of all rows together
    progress: float  # of the training: 0 in the first epoch, 1 in the last


class Batches:
    """Batches of encoded examples, cut when they are read: each row is in one batch of an epoch.

    Args:
        data: the training part.
        steps: largest number of steps of a batch, all rows together.
        epochs: of the whole training.
        seed: of the order of the rows, which differs between epochs.
    """

    def __init__(self, data: Encoded, steps: int, epochs: int, seed: int):
        self.data, self.epochs = data, epochs
        self.rows = RowBatches(data.steps, steps, seed)

    @complete
    def __repr__(self) -> str:
        return call("Batches", repr(self.rows), f"{self.epochs} epochs")

    def epoch(self, number: int) -> "Sequence[Batch]":
        """Return the batches of an epoch, counted from 1; the same number gives the same batches."""
        progress = (number - 1) / (self.epochs - 1) if self.epochs > 1 else 1.0
        return _Epoch(self.data, self.rows.epoch(number), progress)


class _Epoch(Sequence[Batch]):
    def __init__(self, data: Encoded, batches: Sequence[RowBatch], progress: float):
        self.data, self.batches, self.progress = data, batches, progress

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:  # type: ignore[override]  # no slices
        rows, num_steps = self.batches[index]
        return Batch(self.data.select(rows), num_steps, self.progress)


def pick(values: Any, rows: np.ndarray) -> Any:
    """Return some rows of a list, an array, or a value with `select`; None if there are none."""
    if values is None or hasattr(values, "select"):
        return None if values is None else values.select(rows)
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


def digest(data: Any) -> str:
    """Return a digest of encoded examples: the same for the same rows in the same order."""
    total = hashlib.sha256()
    for array in _arrays(data):
        total.update(str((array.dtype, array.shape)).encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _arrays(data: Any) -> Iterator[np.ndarray]:
    data = (data.inputs, data.targets) if isinstance(data, Encoded) else getattr(data, "arrays", data)
    if isinstance(data, Sequences):
        data = data.values, data.lengths
    if isinstance(data, list | tuple):
        for part in data:
            yield from _arrays(part)
    else:
        yield np.asarray(data)
