"""Samples of the updates of an epoch: by the training loop of all tasks, and by torch.nn on the same rows."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from parts import shares, table
from problems import TOLERANCE, Result, agree
from report import Report
from timing import Contestant
from torch import Tensor, nn

from elman.data.examples import Batch, Batches, Encoded
from elman.data.row_batches import RowBatch
from elman.tasks import Task
from elman.training import train

UPDATES = 40
ELMAN = "elman"


def data_folder() -> Path | None:
    """Return the folder of the data sets, or None if it is not set."""
    folder = os.environ.get("ELMAN_DATA")
    if folder is None:
        print("left out: ELMAN_DATA is not set")
    return Path(folder) if folder else None


class Prepared(NamedTuple):
    """Task with a new network and encoded data, ready to train."""

    task: Any
    data: Encoded
    batches: Batches

    def train(self, batches: Sequence[RowBatch] | None = None, **options: Any) -> None:
        """Train for one epoch, on given batches or on those of the task."""
        data: Any = self.batches
        if batches is not None:
            data = Batches(self.data, 1, 1, 0)
            data.rows = SimpleNamespace(epoch=lambda number: batches)
        train(self.task.net_, self.task._loss, data, self.task, **options)


def prepared(kind: type[Task], X: Any, y: Any, **settings: Any) -> Prepared:
    """Return a task after everything that `fit` does before training."""
    task = kind(validation=0, epochs=1, **settings)
    batches: Any = task._parts(X, y, None, None).batches
    return Prepared(task, batches.data, batches)


class Sample(NamedTuple):
    """Updates spread over an epoch."""

    ready: Prepared
    batches: Sequence[RowBatch]  # batches of the task
    buckets: Sequence[np.ndarray]  # the same rows in equally many batches of similar lengths
    updates: int  # updates of the whole epoch
    passes: float  # steps of the epoch / steps of the sample
    sides: Sequence[np.ndarray]  # steps of all rows; for pairs, of sources and of targets

    @classmethod
    def of(cls, ready: Prepared, updates: int = UPDATES) -> "Sample":
        epoch, lengths = ready.batches.rows.epoch(1), ready.data.steps
        batches = [epoch[i] for i in np.linspace(0, len(epoch) - 1, min(updates, len(epoch))).astype(int)]
        rows = np.concatenate([batch.rows for batch in batches])
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        ends = np.cumsum(lengths[rows])
        buckets = np.split(rows, np.searchsorted(ends, np.arange(1, len(batches)) * ends[-1] / len(batches)))
        buckets = [buckets[i] for i in np.random.default_rng(0).permutation(len(buckets))]
        return cls(ready, batches, buckets, len(epoch), lengths.sum() / ends[-1], [lengths])

    def run(self) -> None:
        """Make the updates with the training loop of the task."""
        self.ready.train(self.batches)

    def padding(self) -> float:
        """Return the share of padding in the padded batches."""
        lengths = [side[rows] for rows in self.buckets for side in self.sides]
        return 1 - sum(part.sum() for part in lengths) / sum(part.max() * len(part) for part in lengths)


@contextmanager
def without_dropout(task: Any) -> Iterator[None]:
    """Disable the dropout of a task inside the block."""
    part = getattr(task, "word_dropout", None)
    if part is not None:
        task.word_dropout = 0.0
    task.net_.eval()
    try:
        yield
    finally:
        if part is not None:
            task.word_dropout = part
        task.net_.train()


def losses(sample: Sample, weights: Sequence[Tensor]) -> Result:
    """Return the loss of the first bucket, and its gradients, computed by the task."""
    task, data = sample.ready.task, sample.ready.data.select(sample.buckets[0])
    with without_dropout(task):
        return _result(task._loss(Batch(data, int(data.steps.sum()), 1.0), None)[0], weights)


def peer_losses(net: nn.Module, batch: Any, weights: Sequence[Tensor]) -> Result:
    """Return the loss of a batch, and its gradients, computed by a network of torch.nn."""
    net.eval()
    return _result(net(batch), weights)


def _result(loss: Tensor, weights: Sequence[Tensor]) -> Result:
    found = torch.autograd.grad(loss, weights)
    arrays = [(d.to_dense() if d.is_sparse else d).numpy() for d in found]
    return {"loss": loss.detach().numpy().reshape(1), **{f"gradient {i}": array for i, array in enumerate(arrays)}}


def race_epoch(
    report: Report,
    shape: str,
    sample: Sample,
    peers: dict[str, Callable[[], Any]],
    results: dict[str, Result],
    sizes: str,
    tolerance: float = TOLERANCE,
) -> None:
    """Time the sample after a comparison of the results; print the time of an epoch and the parts of an update."""
    apart = agree(shape, results, truth=ELMAN, tolerance=tolerance)
    contestants = [Contestant(ELMAN, sample.run), *(Contestant(name, run) for name, run in peers.items())]
    parts, count = shares(sample.run), len(sample.batches)
    result = report.race(shape, f"{count} updates", contestants, apart=apart, net=sizes, parts=parts)
    epochs = ", ".join(f"{name} {result.time(name).median * sample.passes:.1f} s" for name in result.seconds)
    steps = sum(batch.num_steps for batch in sample.batches) / count
    print(f"  {sizes}; {steps:.0f} steps per batch; {sample.padding():.1%} of the padded steps are padding")
    print(f"  an epoch of {sample.updates} updates, at the speed of {count} updates spread over it: {epochs}")
    print(table(parts, 1e3 * result.time(ELMAN).median / count), flush=True)
