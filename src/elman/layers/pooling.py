"""Pooling of a row into one vector: its last step, the mean, the maximum, or an attention-weighted sum.

A pooling is a cell whose output summarises the steps so far. `pool` computes the last output of each row, with a few
operations on all steps. `step` updates a running output, so that a classifier of rows has class probabilities at every
step.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from elman.arrays import like
from elman.cells.module import CellModule, check_tensor
from elman.kernels import autocast
from elman.kernels.linear import linear
from elman.layers.linear import Linear
from elman.network.spec import Spec
from elman.network.states import AttentionState, RunningSum
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State


class Pooling(CellModule):
    """Base class of cells whose output summarises the steps of a row so far.

    Args:
        size: features of x and of y, D.
        backward_size: number of trailing features that come from the backward cell of a `Bidirectional`. Only
            `LastPooling` uses it.
    Shapes:
        x: [N, D]   ->   y: [N, D]      pool: Sequences of B rows -> [B, D]
    Raises:
        ValueError: x is not [N, size]; backward_size is not 0 to size.
        TypeError: x has another dtype than the model.
    """

    blank: Tensor  # carries the dtype and device, since most poolings have no parameters

    def __init__(self, size: int, backward_size: int = 0):
        super().__init__()
        if not 0 <= backward_size <= size:
            raise ValueError(f"{type(self).__name__}: expected backward_size from 0 to {size}, got {backward_size}.")
        self.input_size = self.output_size = size
        self.backward_size = backward_size
        self.register_buffer("blank", torch.zeros(0), persistent=False)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names)

    def pool(self, sequences: Sequences) -> Tensor:
        """Return the last output of each row, [B, D]; zeros for an empty row."""
        raise NotImplementedError(f"{type(self).__name__} has no pool")

    def zeros(self, *shape: int) -> Tensor:
        return self.blank.new_zeros(shape)

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """Check that x is [N, input_size] in the model's dtype; cast an autocast dtype back to that."""
        where, name = f"{type(self).__name__}.{verb}", "x" if verb == "step" else "values"
        check(where, name, x, f"{'B' if verb == 'step' else 'N'} D={self.input_size}")
        check_tensor(where, name, x)
        x = autocast.cast_input(x, self.blank.dtype)
        if x.dtype != self.blank.dtype:
            raise TypeError(f"{where}: expected {name} of {self.blank.dtype}, like the model, got {x.dtype}.")
        return x


class LastPooling(Pooling):
    """Pooling to the last step: y = x.

    After a `Bidirectional`, the forward features come from the last step and the backward features from the
    first step: both have seen the whole row. Therefore a pooling with a backward_size cannot stream.

    Arguments, shapes and errors are those of `Pooling`; the state is ().
    """

    kind = "last_pooling"

    def __init__(self, size: int, backward_size: int = 0):
        super().__init__(size, backward_size)
        self.streams = not backward_size

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, backward_size=self.backward_size)

    def initial_state(self, batch_size: int) -> State:
        return ()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.backward_size:
            raise ValueError("LastPooling.step: the backward features are known after the last step only, so the "
                             "layer cannot stream; use scan, or a forward cell alone.")  # fmt: skip
        x = self.check_input("step", x)
        return x, self.check_state("step", state, len(x))

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, _ = self.checked_with_state("scan", sequences, state)
        if not self.backward_size:
            return sequences, ()
        forward, backward = self._parts(sequences.values)
        heads = like(sequences.offsets[sequences.rows], backward)
        return sequences.with_values(torch.cat([forward, backward.index_select(0, heads)], -1)), ()

    def pool(self, sequences: Sequences) -> Tensor:
        sequences = self.checked("pool", sequences)
        forward, backward = self._parts(sequences.values)
        if torch.compiler.is_compiling():
            offsets, full = like(sequences.offsets, forward), like(sequences.lengths, forward) > 0
            ends = (part.index_select(0, step) for part, step in (
                (_with_zeros(forward), torch.where(full, offsets[1:] - 1, forward.shape[0])),
                (_with_zeros(backward), torch.where(full, offsets[:-1], backward.shape[0])),
            ))  # fmt: skip
            return torch.cat([*ends], -1)
        real = sequences.lengths.nonzero()[0]
        last = forward.index_select(0, like(sequences.offsets[real + 1] - 1, forward))
        first = backward.index_select(0, like(sequences.offsets[real], backward))
        y = torch.cat([last, first], -1)
        return self.zeros(len(sequences), self.output_size).index_copy(0, like(real, y), y)

    def _parts(self, x: Tensor) -> list[Tensor]:
        return list(x.split([self.input_size - self.backward_size, self.backward_size], -1))


class MeanPooling(Pooling):
    """Pooling to the mean: y is the mean of the steps so far.

    Arguments, shapes and errors are those of `Pooling`; the state is RunningSum(sum [B, D], steps [B]).
    """

    kind = "mean_pooling"

    def initial_state(self, batch_size: int) -> RunningSum:
        return RunningSum(self.zeros(batch_size, self.input_size), self.zeros(batch_size).long())

    def advance(self, x: Tensor, state: RunningSum) -> tuple[Tensor, RunningSum]:
        state = RunningSum(state.sum + x, state.steps + 1)
        return state.sum / state.steps[:, None], state

    def pool(self, sequences: Sequences) -> Tensor:
        sequences = self.checked("pool", sequences)
        steps = like(sequences.lengths, sequences.values)[:, None]
        return sums(sequences.values, sequences) / steps.clamp(min=1)


class MaxPooling(Pooling):
    """Pooling to the maximum: y is the maximum of the steps so far, feature by feature.

    Of equal values, the first one gets the gradient.

    Arguments, shapes and errors are those of `Pooling`; the state is y [B, D], from -inf.
    """

    kind = "max_pooling"

    def initial_state(self, batch_size: int) -> Tensor:
        return self.blank.new_full((batch_size, self.input_size), -torch.inf)

    def advance(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y = torch.stack([state, x]).max(0).values  # torch.maximum would split the gradient between equal values
        return y, y

    def pool(self, sequences: Sequences) -> Tensor:
        sequences = self.checked("pool", sequences)
        if torch.compiler.is_compiling():
            return _largest(sequences.values, sequences)
        return _Largest.apply(sequences.values, sequences)


class AttentionPooling(Pooling):
    """Pooling to an attention-weighted sum: y = sum of a x,  a = softmax over the row of v . tanh(W x + b)

    The additive attention of Bahdanau et al. (2015, arXiv:1409.0473) with one learned query for all rows, as in Yang et
    al. (2016, "Hierarchical Attention Networks for Document Classification"). Streaming updates a running softmax.

    Args:
        size, backward_size: as in `Pooling`.
        attention_size: features of W x, A.
    Shapes:
        x: [N, D]   state: AttentionState(largest [B], weight [B], sum [B, D])   ->   y: [N, D]
    Raises:
        ValueError, TypeError: as in `Pooling`.
    """

    kind = "attention_pooling"
    calls_kernels = True

    def __init__(self, size: int, backward_size: int = 0, attention_size: int = 128):
        super().__init__(size, backward_size)
        self.hidden = Linear(size, attention_size)
        self.query = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, attention_size)))

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, attention_size=self.query.shape[1])

    def initial_state(self, batch_size: int) -> AttentionState:
        lowest = self.blank.new_full((batch_size,), -torch.inf)
        return AttentionState(lowest, self.zeros(batch_size), self.zeros(batch_size, self.input_size))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, linear(self.hidden.apply_to(x).tanh(), self.query)[:, 0]

    def advance(self, x: tuple[Tensor, Tensor], state: AttentionState) -> tuple[Tensor, AttentionState]:
        x_, score = x
        largest = torch.maximum(state.largest, score)
        before, now = (state.largest - largest).exp(), (score - largest).exp()
        state = AttentionState(largest, before * state.weight + now, before[:, None] * state.sum + now[:, None] * x_)
        return state.sum / state.weight[:, None], state

    def attention_weights(self, sequences: Sequences) -> Tensor:
        """Return the weight of each step in the result of `pool`, [N]; the weights of a row sum to 1."""
        sequences = self.checked("attention_weights", sequences)
        _, score = self.project(sequences.values)
        rows = like(sequences.rows, score)
        lowest = score.new_zeros(sequences.lengths.shape[0])
        largest = lowest.scatter_reduce(0, rows, score.detach(), "amax", include_self=False)
        share = (score - largest.index_select(0, rows)).exp()
        return share / sums(share, sequences).index_select(0, rows)

    def pool(self, sequences: Sequences) -> Tensor:
        sequences = self.checked("pool", sequences)
        return sums(self.attention_weights(sequences)[:, None] * sequences.values, sequences)


POOLINGS: dict[str, type[Pooling]] = {
    "last": LastPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
}


def sums(values: Tensor, sequences: Sequences) -> Tensor:
    """Return the sum over the steps of each row: [N, ...] -> [B, ...]."""
    zeros = values.new_zeros(sequences.lengths.shape[0], *values.shape[1:])
    return zeros.index_add(0, like(sequences.rows, values), values)


def _with_zeros(values: Tensor) -> Tensor:
    """Append a step of zeros, for empty rows."""
    return torch.cat([values, values.new_zeros(1, values.shape[1])])


def _largest(values: Tensor, sequences: Sequences) -> Tensor:
    """Compute `_Largest` by PyTorch operations whose shapes do not depend on values, as `torch.compile` requires."""
    rows, (steps, features) = like(sequences.rows, values)[:, None].expand_as(values), values.shape
    y = values.new_zeros(sequences.lengths.shape[0], features)
    y = y.scatter_reduce(0, rows, values.detach(), "amax", include_self=False)
    has = (values == y.gather(0, rows)) | values.isnan()
    places = torch.where(has, torch.arange(steps, device=values.device)[:, None], steps)
    first = torch.full_like(y, steps, dtype=torch.int64).scatter_reduce(0, rows, places, "amin")
    return _with_zeros(values).gather(0, first)


class _Largest(torch.autograd.Function):
    """Maximum over the steps of each row, [B, D]; its gradient goes to the first step with that value."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, sequences: Sequences) -> Tensor:
        rows = like(sequences.rows, values)
        y = values.new_zeros(len(sequences), values.shape[1])
        y.scatter_reduce_(0, rows[:, None].expand_as(values), values, "amax", include_self=False)
        ctx.save_for_backward(values, y, rows)
        ctx.sequences = sequences
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        values, y, rows = ctx.saved_tensors
        steps, features = (values == y.index_select(0, rows)).nonzero(as_tuple=True)
        first = like(ctx.sequences.offsets[:-1], values)[:, None].repeat(1, y.shape[1])  # [B, D]; unchanged for NaN
        places = rows[steps] * y.shape[1] + features
        first.view(-1).scatter_reduce_(0, places, steps, "amin", include_self=False)
        real = like(ctx.sequences.lengths.nonzero()[0], values)
        gradient = dy.new_zeros(values.shape).scatter(0, first.index_select(0, real), dy.index_select(0, real))
        return gradient, None
