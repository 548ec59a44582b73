"""MinGRU and WindowNet: recurrent layers whose scan is not a time loop."""

from typing import Any

import numpy as np

from elman.kernels.native import ACTIVATIONS
from elman.network.functions import ACTIVATION, AffineMap, linear_scan, sigmoid, window_linear
from elman.network.layer import Layer
from elman.network.spec import LARGEST, LayerSpec
from elman.sequences import Sequences
from elman.state import State


class MinGRU(Layer):
    """GRU whose gates depend on the input only (Feng et al. 2024, arXiv:2410.01201)."""

    kind = "min_gru"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        units = self.output_size
        self.weight, self.bias = spec.tensor("weight_ih", 2 * units, self.input_size), spec.tensor("bias", 2 * units)
        self._map = AffineMap(self.weight, self.bias)

    def initial_state(self, batch_size: int) -> np.ndarray:
        return np.zeros((batch_size, self.output_size), np.float32)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, np.ndarray]:
        sequences, state = self.checked_with_state(sequences, state)
        z, n = np.split(self._map(sequences.values), 2, 1)
        z = sigmoid(z)
        y, last = linear_scan(1 - z, z * n, sequences.layout, np.ascontiguousarray(state))
        return sequences.with_values(y), last

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        h, y = stepper.floats(self.output_size), stepper.floats(self.output_size)
        stepper.add_min_gru(x, self._map.packed(stepper.half), h, y)
        return y, h


class WindowNet(Layer):
    """Feed-forward layer over the last k inputs: y = f(W [x[t-k+1], ..., x[t]] + b) (Waibel et al. 1989)."""

    kind = "window_net"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.window: int = spec.setting("window", int)
        spec.check(1 <= self.window < LARGEST, f"a window from 1 to {LARGEST - 1}", self.window)
        self.activation = spec.word("activation", ACTIVATIONS)
        self.same_bits = self.activation in ("relu", "identity")
        self.weight = spec.tensor("weight", self.output_size, self.window * self.input_size)
        self.bias = spec.tensor("bias", self.output_size)
        self._map = AffineMap(self.weight, self.bias)

    def initial_state(self, batch_size: int) -> np.ndarray:
        return np.zeros((batch_size, self.window - 1, self.input_size), np.float32)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, np.ndarray]:
        sequences, state = self.checked_with_state(sequences, state)
        y, last = window_linear(sequences.values, sequences.layout, state, self._map)
        return sequences.with_values(ACTIVATION[self.activation](y)), last

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        past, y = stepper.floats((self.window - 1) * self.input_size), stepper.floats(self.output_size)
        if self.window > 1:
            seen = stepper.floats(self.window * self.input_size)
            stepper.add_window(x, past, seen)
            x = seen
        stepper.add_linear(x, self._map.packed(stepper.half), y)
        stepper.add_pointwise(self.activation, y)
        return y, past.reshape(len(past), self.window - 1, self.input_size)
