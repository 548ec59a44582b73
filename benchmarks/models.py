"""Recurrences of elman and of torch.nn on given weights and batches, with the same results.

A training step reads x, the weights, the initial states and the gradients of y, and returns y, the final states, and
the gradients of all inputs. Before each step, outside the clock, the weights are updated, so that nothing derived from
them can be reused.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from problems import Batch, Problem, Result, merge, names
from timing import Contestant
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence, pad_sequence

import elman
from elman.cells import LSTMState
from elman.kernels import native


class Model:
    """Implementation of a problem: `forward` and `train` are timed, `results` are compared."""

    name: str

    def __init__(self, problem: Problem, batches: list[Batch], name: str | None = None):
        self.problem, self.batches, self.name = problem, batches, name or self.name

    def forward(self) -> list[Any]:
        raise NotImplementedError

    def train(self) -> list[Any]:
        raise NotImplementedError

    def update(self) -> None:
        """Write the same values to the weights."""

    def read(self, batch: Batch, name: str, array: Any) -> np.ndarray:
        """Return y and dx as [N, ...], states as [B, H]."""
        return np.asarray(array)

    def results(self, train: bool) -> Result:
        """Return the results in the order of the problem."""

        def read(batch: Batch, arrays: Any) -> Result:
            what = zip(names(self.problem.cell, train), arrays, strict=True)
            return {name: self.read(batch, name, array) for name, array in what if array is not None}

        outputs = self.train() if train else self.forward()
        return merge(self.batches, [read(*item) for item in zip(self.batches, outputs, strict=True)])

    def contestant(self, train: bool) -> Contestant:
        return Contestant(self.name, self.train, at_call=self.update) if train else Contestant(self.name, self.forward)


class TorchModel(Model):
    """Implementation with PyTorch's autograd. A subclass defines how a module reads a batch."""

    weights: list[Tensor]

    def __init__(self, problem: Problem, batches: list[Batch], name: str | None = None):
        super().__init__(problem, batches, name)
        self.load([torch.from_numpy(weight) for weight in problem.weights()])
        self.given = [self.give(batch) for batch in batches]

    def load(self, weights: list[Tensor]) -> None:
        """Make the module, and copy the weights."""
        raise NotImplementedError

    def give(self, batch: Batch) -> tuple[Any, Tensor, list[Tensor], Tensor]:
        """Return the extra input of `call`, x, the initial state, and the gradient of y."""
        raise NotImplementedError

    def call(self, given: Any, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return y and the final state."""
        raise NotImplementedError

    def forward(self) -> list[Any]:
        with torch.inference_mode():
            outputs = [self.call(given, x, state) for given, x, state, _ in self.given]
        return [(y, *final) for y, final in outputs]

    def train(self) -> list[Any]:
        steps = []
        for given, x, state, dy in self.given:
            y, final = self.call(given, x, state)
            gradients = torch.autograd.grad(y, (x, *state, *self.weights), dy)
            steps.append((y, *final, *self.combined(gradients)))
        return steps

    def combined(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return gradients

    def update(self) -> None:
        with torch.no_grad():
            for weight in self.weights:
                weight.mul_(1)

    def read(self, batch: Batch, name: str, array: Tensor) -> np.ndarray:
        return array.detach().numpy()


class Elman(TorchModel):
    """Cell of elman on ragged batches; making the Sequences and planning the pass are inside the clock."""

    name = "elman"

    def load(self, weights: list[Tensor]) -> None:
        cell: Any = getattr(elman, self.problem.cell.upper())(self.problem.inputs, self.problem.hidden)
        self.cell, self.weights = cell, list(cell.parameters())
        with torch.no_grad():
            for weight, value in zip(self.weights, weights, strict=True):
                weight.copy_(value)

    def give(self, batch: Batch) -> tuple[Any, Tensor, list[Tensor], Tensor]:
        x, dy = (torch.from_numpy(np.concatenate(rows)) for rows in (batch.x, batch.dy))
        state = [torch.from_numpy(leaf).requires_grad_() for leaf in batch.state]
        return batch.lengths, x.requires_grad_(), state, dy

    def call(self, given: Any, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y, final = self.cell.scan(elman.Sequences(x, given), LSTMState(*state) if len(state) == 2 else state[0])
        return y.values, list(final) if len(state) == 2 else [final]


@contextmanager
def without_native() -> Iterator[None]:
    """Use the reference kernels inside the block."""
    module, native.module = native.module, None
    try:
        yield
    finally:
        native.module = module


class Reference(Elman):
    """Cell of elman with its reference loop."""

    name = "reference"

    def call(self, given: Any, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        with without_native():
            return super().call(given, x, state)


class Padded(TorchModel):
    """torch.nn on padded batches, time first, its fastest layout; x is given padded, and y stays padded."""

    name = "torch"

    def load(self, weights: list[Tensor]) -> None:
        module: Any = getattr(nn, self.problem.cell.upper())(self.problem.inputs, self.problem.hidden)
        weight_ih, weight_hh, bias, *bias_hn = weights
        bias_hh = torch.zeros_like(bias)
        if bias_hn:
            bias_hh[-len(bias_hn[0]) :] = bias_hn[0]
        with torch.no_grad():
            for parameter, value in zip(module.parameters(), (weight_ih, weight_hh, bias, bias_hh), strict=True):
                parameter.copy_(value)
        self.module, self.weights = module, list(module.parameters())

    def give(self, batch: Batch) -> tuple[Any, Tensor, list[Tensor], Tensor]:
        x, dy = (pad_sequence([torch.from_numpy(row) for row in rows]) for rows in (batch.x, batch.dy))
        state = [torch.from_numpy(leaf)[None].requires_grad_() for leaf in batch.state]
        return batch.lengths, x.requires_grad_(), state, dy

    def call(self, given: Any, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        return self.scan(x, state)

    def scan(self, x: Any, state: list[Tensor]) -> tuple[Any, list[Tensor]]:
        y, final = self.module(x, tuple(state) if len(state) == 2 else state[0])
        return y, list(final) if len(state) == 2 else [final]

    def combined(self, gradients: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        *rest, bias, bias_hh = gradients
        return (*rest, bias, bias_hh[-self.problem.hidden :]) if self.problem.cell == "gru" else (*rest, bias)

    def read(self, batch: Batch, name: str, array: Tensor) -> np.ndarray:
        array = array.detach()
        if name in ("y", "dx"):
            return np.concatenate([array[:length, row].numpy() for row, length in enumerate(batch.lengths)])
        return array[0].numpy() if name in ("h", "c", "dh0", "dc0") else array.numpy()

    def results(self, train: bool) -> Result:
        """Return the results without final states of ragged batches, which torch.nn computes over the padding."""
        ragged = any(np.ptp(batch.lengths) for batch in self.batches)
        drop = ("h", "c") if ragged and type(self) is Padded else ()
        return {name: array for name, array in super().results(train).items() if name not in drop}


class Packed(Padded):
    """torch.nn from padded to packed and back; `enforce_sorted` needs the longest rows first."""

    def __init__(self, problem: Problem, batches: list[Batch], enforce_sorted: bool, name: str):
        self.enforce_sorted = enforce_sorted
        super().__init__(problem, [longest_first(batch) for batch in batches] if enforce_sorted else batches, name)

    def give(self, batch: Batch) -> tuple[Any, Tensor, list[Tensor], Tensor]:
        return torch.tensor(batch.lengths), *super().give(batch)[1:]

    def call(self, given: Any, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y, final = self.scan(pack_padded_sequence(x, given, enforce_sorted=self.enforce_sorted), state)
        return pad_packed_sequence(y)[0], final


class Prepacked(Packed):
    """torch.nn on batches that are given packed and stay packed, the least work on ragged rows."""

    def __init__(self, problem: Problem, batches: list[Batch], name: str):
        super().__init__(problem, batches, True, name)

    def give(self, batch: Batch) -> tuple[Any, Tensor, list[Tensor], Tensor]:
        lengths, x, state, dy = super().give(batch)
        packed = pack_padded_sequence(x.detach(), lengths)
        return packed.batch_sizes, packed.data.requires_grad_(), state, pack_padded_sequence(dy, lengths).data

    def call(self, given: Any, x: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y, final = self.scan(PackedSequence(x, given), state)
        return y.data, final

    def read(self, batch: Batch, name: str, array: Tensor) -> np.ndarray:
        if name in ("y", "dx"):
            sizes = pack_padded_sequence(torch.zeros(max(batch.lengths), len(batch.lengths)), batch.lengths).batch_sizes
            array = pad_packed_sequence(PackedSequence(array.detach(), sizes))[0]
        return super().read(batch, name, array)


def longest_first(batch: Batch) -> Batch:
    order = np.argsort(-batch.lengths, kind="stable")

    def rows(arrays: list[np.ndarray]) -> list[np.ndarray]:
        return [arrays[row] for row in order]

    return Batch(
        batch.rows[order], batch.lengths[order], rows(batch.x), rows(batch.dy), [s[order] for s in batch.state]
    )


def optional(make: Callable[[], Model]) -> list[Model]:
    """Return the model in a list; empty if its library is not installed."""
    try:
        return [make()]
    except ModuleNotFoundError as missing:
        print(f"left out: {missing.name} is not installed")
        return []
