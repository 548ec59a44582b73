"""Poolings without PyTorch: the last step of a row, the mean, the maximum, or an attention-weighted sum."""

from itertools import pairwise
from typing import Any

import numpy as np

from elman.cell import unroll
from elman.network.functions import AffineMap
from elman.network.layer import Layer
from elman.network.spec import LayerSpec
from elman.network.states import AttentionState, RunningSum
from elman.sequences import Sequences
from elman.state import State


class Pooling(Layer):
    """Base of layers whose output summarises the steps of a row so far.

    A subclass implements `advance` and `pool`, and `project` if part of a step does not read the state.
    """

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        size = self.input_size
        spec.check(self.output_size == size, f"an output_size of {size}, its input_size", self.output_size)

    def pool(self, sequences: Sequences) -> np.ndarray:
        """Return the last output of each row, [B, D]; zeros for an empty row."""
        raise NotImplementedError(f"{type(self).__name__} has no pool")

    def project(self, x: np.ndarray) -> Any:
        """Compute the part of a step that does not read the state: x [N, D] -> the first argument of `advance`."""
        return x

    def advance(self, x: Any, state: State) -> tuple[np.ndarray, State]:
        """Compute the rest of a step: the output y [B, D] and the next state."""
        raise NotImplementedError(f"{type(self).__name__} has no advance")

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        x, state = self.checked_step(x, state)
        return self.advance(self.project(x), state)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, state = self.checked_with_state(sequences, state)
        return unroll(self.advance, sequences.map(self.project), state)


class LastPooling(Pooling):
    """Pooling to the last step; features of a backward cell, the last ones, are those of the first step."""

    kind = "last_pooling"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.backward_size: int = spec.setting("backward_size", int, 0)
        expected = f"a backward_size from 0 to {self.input_size}"
        spec.check(0 <= self.backward_size <= self.input_size, expected, self.backward_size)
        self.streams = not self.backward_size

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        return self.checked_step(x, state)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, _ = self.checked(sequences, state)
        if self.streams:
            return sequences, ()
        y, backward = sequences.values.copy(), self.input_size - self.backward_size
        y[:, backward:] = y[sequences.offsets[sequences.rows], backward:]
        return sequences.with_values(y), ()

    def pool(self, sequences: Sequences) -> np.ndarray:
        y, x, backward = zeros(sequences), sequences.values, self.input_size - self.backward_size
        full = sequences.lengths > 0
        y[full, :backward] = x[sequences.offsets[1:][full] - 1, :backward]
        y[full, backward:] = x[sequences.offsets[:-1][full], backward:]
        return y

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        return (x, ()) if self.streams else super().add(stepper, x)


class MeanPooling(Pooling):
    """Pooling to the mean of the steps so far."""

    kind = "mean_pooling"
    same_bits = True

    def initial_state(self, batch_size: int) -> RunningSum:
        return RunningSum(np.zeros((batch_size, self.input_size), np.float32), np.zeros(batch_size, np.int64))

    def advance(self, x: np.ndarray, state: State) -> tuple[np.ndarray, RunningSum]:
        state = state_after(x, state)
        return mean(state), state

    def pool(self, sequences: Sequences) -> np.ndarray:
        return reduced(np.add, sequences) / np.maximum(sequences.lengths, 1)[:, None].astype(np.float32)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y, state = stepper.floats(self.output_size), RunningSum(stepper.floats(self.input_size), stepper.integers())
        stepper.add_mean_pooling(x, *state, y)
        return y, state


class MaxPooling(Pooling):
    """Pooling to the maximum of the steps so far, feature by feature."""

    kind = "max_pooling"
    same_bits = True

    def initial_state(self, batch_size: int) -> np.ndarray:
        return np.full((batch_size, self.input_size), -np.inf, np.float32)

    def advance(self, x: np.ndarray, state: State) -> tuple[np.ndarray, np.ndarray]:
        y = np.maximum(state, x)
        return y, y

    def pool(self, sequences: Sequences) -> np.ndarray:
        return reduced(np.maximum, sequences)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y, largest = stepper.floats(self.output_size), stepper.floats(self.input_size)
        largest[...] = -np.inf
        stepper.add_max_pooling(x, largest, y)
        return y, largest


class AttentionPooling(Pooling):
    """Pooling to an attention-weighted sum: y = sum of a x,  a = softmax over the row of v . tanh(W x + b).

    The additive attention of Bahdanau et al. (2015, arXiv:1409.0473), as a running softmax.
    """

    kind = "attention_pooling"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        size = spec.size("attention_size")
        self.weight = spec.tensor("hidden.weight", size, self.input_size)
        self.bias = spec.tensor("hidden.bias", size)
        self.query = spec.tensor("query", 1, size)
        self._hidden, self._score = AffineMap(self.weight, self.bias), AffineMap(self.query)

    def initial_state(self, batch_size: int) -> AttentionState:
        return AttentionState(np.full(batch_size, -np.inf, np.float32), np.zeros(batch_size, np.float32),
                              np.zeros((batch_size, self.input_size), np.float32))  # fmt: skip

    def project(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x, self._score(np.tanh(self._hidden(x)))[:, 0]

    def advance(self, x: Any, state: State) -> tuple[np.ndarray, AttentionState]:
        values, score = x
        largest = np.maximum(state.largest, score)
        before, now = np.exp(state.largest - largest), np.exp(score - largest)
        state = AttentionState(largest, before * state.weight + now,
                               before[:, None] * state.sum + now[:, None] * values)  # fmt: skip
        return state.sum / state.weight[:, None], state

    def attention_weights(self, sequences: Sequences) -> np.ndarray:
        """Return the weight of each step in the result of `pool`, [N]; the weights of a row sum to 1."""
        _, score = self.project(sequences.values)
        starts = sequences.offsets[:-1][sequences.lengths > 0]
        if not len(starts):
            return score
        lengths = sequences.lengths[sequences.lengths > 0]
        share = np.exp(score - np.repeat(np.maximum.reduceat(score, starts), lengths))
        return share / np.repeat(np.add.reduceat(share, starts), lengths)

    def pool(self, sequences: Sequences) -> np.ndarray:
        return reduced(np.add, sequences.map(lambda x: self.attention_weights(sequences)[:, None] * x))

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        hidden, score, y = (stepper.floats(size) for size in (len(self.weight), 1, self.output_size))
        stepper.add_linear(x, self._hidden.packed(stepper.half), hidden)
        stepper.add_pointwise("tanh", hidden)
        stepper.add_linear(hidden, self._score.packed(stepper.half), score)
        largest, weight, total = (stepper.floats(size) for size in (1, 1, self.input_size))
        largest[...] = -np.inf
        stepper.add_attention_pooling(x, score, largest, weight, total, y)
        return y, AttentionState(largest.reshape(-1), weight.reshape(-1), total)


def state_after(x: np.ndarray, state: RunningSum) -> RunningSum:
    """Return the sum and number of steps after a step x [B, ...]."""
    total, steps = state
    return RunningSum(total + x, steps + 1)


def mean(state: RunningSum) -> np.ndarray:
    """Return the mean of the steps so far, [B, ...] float32; there is at least one step."""
    total, steps = state
    return total / steps.astype(np.float32).reshape(-1, *[1] * (total.ndim - 1))


def zeros(sequences: Sequences) -> np.ndarray:
    """Return zeros of one vector per row, [B, D]."""
    return np.zeros((len(sequences), sequences.values.shape[1]), np.float32)


def reduced(function: np.ufunc, sequences: Sequences) -> np.ndarray:
    """Return the sum, maximum, ... over the steps of each row, first to last: [N, D] -> [B, D]; zeros without steps."""
    y, x = zeros(sequences), sequences.values
    for row, (start, end) in enumerate(pairwise(sequences.offsets.tolist())):  # 10 times as fast as `reduceat`
        if end > start:
            function.reduce(x[start:end], 0, None, y[row])
    return y
