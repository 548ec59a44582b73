"""A sample of the updates of an epoch: by the loop that trains every task, and by torch.nn from the same rows."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from parts import shares, table
from problems import TOLERANCE, Result, agree
from report import Report
from timing import Contestant
from torch import Tensor, nn

from elman.tasks.task import Task
from elman.training import train

UPDATES = 40
ELMAN = "elman"


def data_folder() -> Path | None:
    """The public data sets; without them there is nothing to measure."""
    folder = os.environ.get("ELMAN_DATA")
    if folder is None:
        print("left out: ELMAN_DATA names no folder of data sets")
    return Path(folder) if folder else None


def prepared(kind: type[Task], *data: Any, **settings: Any) -> Any:
    """A task that has done all of `fit` but to train: `net_`, and what `train` would have got, `loss` and `data`."""

    class Prepared(kind):  # type: ignore[misc, valid-type]
        def train(self, loss: Any, data: Any, evaluate: Any, **rest: Any) -> None:
            self.loss, self.data = loss, data

    return Prepared(validation=0, epochs=1, **settings).fit(*data)


class Sample(NamedTuple):
    """Updates spread over an epoch."""

    task: Any  # as `prepared` gives it
    batches: Sequence[Any]  # as the task draws them
    buckets: Sequence[np.ndarray]  # the same rows in as many batches of as many steps, but of like lengths
    updates: int  # of a whole epoch
    passes: float  # over the sample that are as many steps as an epoch
    sides: Sequence[np.ndarray]  # the steps of all rows; of pairs, those of both sides

    @classmethod
    def of(cls, task: Any, updates: int = UPDATES) -> "Sample":
        epoch, lengths = task.data.epoch(1), task.data.lengths
        batches = [epoch[i] for i in np.linspace(0, len(epoch) - 1, min(updates, len(epoch))).astype(int)]
        rows = np.concatenate([batch.rows for batch in batches])
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        ends = np.cumsum(lengths[rows])
        buckets = np.split(rows, np.searchsorted(ends, np.arange(1, len(batches)) * ends[-1] / len(batches)))
        buckets = [buckets[i] for i in np.random.default_rng(0).permutation(len(buckets))]
        return cls(task, batches, buckets, len(epoch), lengths.sum() / ends[-1], [lengths])

    def run(self) -> None:
        """The updates, as the task makes them."""
        train(self.task.net_, self.task.loss, Epoch(self.batches), self.task)

    def padding(self) -> float:
        """The part of the padded steps that is behind a row."""
        lengths = [side[rows] for rows in self.buckets for side in self.sides]
        return 1 - sum(part.sum() for part in lengths) / sum(part.max() * len(part) for part in lengths)


class Epoch(NamedTuple):
    """The same batches, whatever its number."""

    batches: Sequence[Any]

    def epoch(self, number: int) -> Sequence[Any]:
        return self.batches


@contextmanager
def without_dropout(task: Any) -> Iterator[None]:
    """Meanwhile the net of a task reads all it is given."""
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
    """The loss of the first bucket, and its gradients, by the task."""
    rows = sample.buckets[0]
    with without_dropout(sample.task):
        return _result(sample.task.loss(sample.batches[0]._replace(rows=rows), None)[0], weights)


def peer_losses(net: nn.Module, batch: Any, weights: Sequence[Tensor]) -> Result:
    """The same by a net of torch.nn."""
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
    """Time the sample, if all agree; tell what an epoch would take, and where the time of an update goes."""
    apart = agree(shape, results, truth=ELMAN, tolerance=tolerance)
    contestants = [Contestant(ELMAN, sample.run), *(Contestant(name, run) for name, run in peers.items())]
    parts, count = shares(sample.run), len(sample.batches)
    result = report.race(shape, f"{count} updates", contestants, apart=apart, net=sizes, parts=parts)
    epochs = ", ".join(f"{name} {result.time(name).median * sample.passes:.1f} s" for name in result.seconds)
    steps = sum(batch.num_steps for batch in sample.batches) / count
    print(f"  {sizes}; {steps:.0f} steps a batch; {sample.padding():.1%} of the padded steps are behind a row")
    print(f"  an epoch of {sample.updates} updates, at the pace of these {count} that are spread over it: {epochs}")
    print(table(parts, 1e3 * result.time(ELMAN).median / count), flush=True)
