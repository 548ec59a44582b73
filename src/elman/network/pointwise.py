"""Layers without a state: embedding, affine map, layer norm; and dropout, which only counts steps."""

from typing import Any

import numpy as np

from elman.network.functions import AffineMap, normalized
from elman.network.layer import Layer, Pointwise
from elman.network.spec import LayerSpec
from elman.network.states import DropoutState
from elman.sequences import Sequences
from elman.state import State


class Embedding(Pointwise):
    """Table of features by id: y = weight[id]."""

    kind = "embedding"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.step_shape = ()
        self.weight = spec.tensor("weight", self.input_size, self.output_size)

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        if len(x) and not 0 <= x.min() <= x.max() < self.input_size:
            odd = int(np.argmax((x < 0) | (x >= self.input_size)))
            raise ValueError(f"Embedding: expected ids from 0 to {self.input_size - 1}, got {x[odd]} at index {odd}.")
        return self.weight[x]

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y = stepper.floats(self.output_size)
        stepper.add_embedding(x, self.weight, y)
        return y, ()


class Linear(Pointwise):
    """Affine map: y = x W' + b."""

    kind = "linear"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.weight = spec.tensor("weight", self.output_size, self.input_size)
        self.bias = spec.tensor("bias", self.output_size) if "bias" in spec else None
        self.same_bits = self.bias is not None  # else PyTorch multiplies
        self._map = AffineMap(self.weight, self.bias)

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        return self._map(x)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y = stepper.floats(self.output_size)
        stepper.add_linear(x, self._map.packed(stepper.half), y)
        return y, ()


class LayerNorm(Pointwise):
    """Layer norm: y = (x - mean) / sqrt(variance + epsilon) * weight + bias (Ba et al. 2016, arXiv:1607.06450).

    PyTorch sums in another order, so that its results differ in the last bits.
    """

    kind = "layer_norm"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        size = self.output_size
        spec.check(self.input_size == size, f"an input_size of {size}, its output_size", self.input_size)
        self.weight = spec.tensor("weight", size) if "weight" in spec else np.ones(size, np.float32)
        self.bias = spec.tensor("bias", size) if "bias" in spec else np.zeros(size, np.float32)
        self.epsilon: float = spec.setting("epsilon", float)
        spec.check(self.epsilon >= 0, "epsilon of at least 0", self.epsilon)

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        y = normalized(x, self.epsilon)
        return np.add(np.multiply(y, self.weight, y), self.bias, y)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y = stepper.floats(self.output_size)
        stepper.add_layer_norm(x, self.weight, self.bias, self.epsilon, y)
        return y, ()


class Dropout(Layer):
    """Identity, because nothing is dropped in evaluation mode. It counts steps so that training can continue."""

    kind = "dropout"
    same_bits = True

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(self.input_size == self.output_size, f"an output_size of {self.input_size}", self.output_size)

    def initial_state(self, batch_size: int) -> DropoutState:
        return DropoutState(np.arange(batch_size, dtype=np.int64), np.zeros(batch_size, np.int64))

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, DropoutState]:
        x, (row, step) = self.checked_step(x, state)
        return x, DropoutState(row, step + 1)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, DropoutState]:
        sequences, (row, step) = self.checked_with_state(sequences, state)
        return sequences, DropoutState(row, step + sequences.lengths)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        return x, DropoutState(*counters(stepper))


def counters(stepper: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows and of their steps, so that training can continue from the state."""
    row, step = stepper.integers(), stepper.integers()
    row[:] = range(len(row))
    stepper.add_count(step)
    return row, step
