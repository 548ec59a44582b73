"""Recurrent layers whose scan is a time loop: several layers, or both directions of one, in one native call."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.cell import unroll
from elman.kernels import native
from elman.kernels.native import ACTIVATIONS, KINDS
from elman.network.functions import PackedWeights, address, new
from elman.network.layer import Layer
from elman.network.spec import LayerSpec
from elman.rows import one_step_each
from elman.sequences import Sequences
from elman.state import State


class Recurrent(Layer):
    """Base of layers that the native time loop runs; `project` and `advance` define in NumPy what it computes.

    Attributes:
        native_kind: one of `KINDS`.
        weights: the tensors, by the names of the native layer.
        activation: one of `ACTIVATIONS`, for an RNN.
        options: other settings of the native layer, by its names; empty for a plain layer.
        state_sizes: features of each array of the state.
    """

    same_bits = True
    native_kind: str
    activation: str = "tanh"
    options: dict[str, float]
    state_sizes: tuple[int, ...]

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.options, self.state_sizes = {}, (self.output_size,)
        self._packed = PackedWeights()

    def read_weights(self, spec: LayerSpec, gates: int, units: int, **others: tuple[int, ...]) -> None:
        """Read the weights that all recurrent layers have, and others of the given shapes."""
        shapes = {"weight_ih": (gates * units, self.input_size), "weight_hh": (gates * units, self.output_size),
                  "bias": (gates * units,), **others}  # fmt: skip
        self.weights = {name: spec.tensor(name, *shape) for name, shape in shapes.items()}

    def project(self, x: np.ndarray) -> np.ndarray:
        """Compute the part of a step that does not read the state, for all steps at once: x W_ih' + b."""
        projected: np.ndarray = x @ self.weights["weight_ih"].T + self.weights["bias"]
        return projected

    def advance(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Compute the rest of a step, from the result of `project` and the state."""
        raise NotImplementedError(f"{type(self).__name__} has no advance")

    def initial_state(self, batch_size: int) -> State:
        return self.structured([np.zeros((batch_size, size), np.float32) for size in self.state_sizes])

    def structured(self, arrays: Sequence[np.ndarray]) -> State:
        """Return the arrays of a state, [B, H] each, in its structure."""
        (h,) = arrays
        return h

    def arrays(self, state: State) -> list[np.ndarray]:
        """Return the arrays of a state that the native loop reads."""
        return [state]

    def after(self, before: State | None, arrays: Sequence[np.ndarray], steps: np.ndarray | int) -> State:
        """Return the state after a scan of rows of so many steps, from the arrays of the native loop."""
        return self.structured(arrays)

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        x, state = self.checked_step(x, state)
        y, (state,) = scan_recurrences([self], Sequences(x, one_step_each(len(x))), [state])
        return y.values, state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, state = self.checked(sequences, state)
        y, (state,) = scan_recurrences([self], sequences, [state])
        return y, state

    def bound(self, below: int = -1, reverse: bool = False, half: bool = False) -> Any:
        """Return the native layer with the addresses of its weights, and its packed weights, in bfloat16 if `half`."""
        kind = KINDS.index(self.native_kind)
        units = len(self.weights["weight_hh"]) // native.GATES[kind]
        layer = native.module.Layer(kind, ACTIVATIONS.index(self.activation), self.input_size, units, self.output_size,
                                    reverse, below)  # fmt: skip
        for name, weight in self.weights.items():
            setattr(layer, name, address(weight))
        if self.options:
            layer.any_option = True
            layer.coupled, layer.clip = bool(self.options["coupled"]), self.options["clip"]
            layer.set_zone_h(0, self.options["zone_h"])
            layer.set_zone_c(0, self.options["zone_c"])
        if half:
            layer.halve_weights()
        layer.packed = self._packed.get(half, lambda: layer.pack(False)).address
        return layer

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y, leaves = stepper.floats(self.output_size), [stepper.floats(size) for size in self.state_sizes]
        h, c = [*leaves, None][:2]
        stepper.add_recurrence(self.bound(half=stepper.half), x, h, c, y)
        return y, self.structured(leaves)


def scan_recurrences(
    layers: Sequence[Recurrent], sequences: Sequences, states: Sequence[State | None], both_ways: bool = False
) -> tuple[Sequences, list[State]]:
    """Scan stacked layers, or the two directions of one layer: in one native call, or in NumPy.

    Args:
        sequences: float32 [N, D].
        states: the state of each layer; None for an initial state.
        both_ways: whether every layer reads x, the second one from the end, instead of the output of the layer below.
    Returns:
        the output of the last layer, [N, H], or of both directions, [N, H + H]; the final state of each layer.
    """
    scan = _native if native.available() else _in_numpy
    return scan(layers, sequences, states, both_ways)


def _in_numpy(
    layers: Sequence[Recurrent], sequences: Sequences, states: Sequence[State | None], both_ways: bool
) -> tuple[Sequences, list[State]]:
    finals: list[State] = []
    outputs: list[Sequences] = []
    rows = len(sequences)
    for number, (layer, state) in enumerate(zip(layers, states, strict=True)):
        x = sequences if not outputs else sequences.reverse() if both_ways else outputs[-1]
        y, final = unroll(layer.advance, x.map(layer.project), layer.initial_state(rows) if state is None else state)
        finals.append(final)
        outputs.append(y.reverse() if both_ways and number else y)
    if both_ways:
        return sequences.with_values(np.concatenate([y.values for y in outputs], 1)), finals
    return outputs[-1], finals


def _native(
    layers: Sequence[Recurrent], sequences: Sequences, states: Sequence[State | None], both_ways: bool
) -> tuple[Sequences, list[State]]:
    x, rows = np.ascontiguousarray(sequences.values), sequences.layout
    assert x.dtype == np.float32
    assert x.shape[1] == layers[0].input_size
    sizes = [layer.output_size for layer in layers]
    if both_ways:
        y = new(len(x), sum(sizes))
        inputs, outputs = [x] * len(layers), np.split(y, np.cumsum(sizes)[:-1], 1)
    else:
        outputs = [new(len(x), size) for size in sizes]
        inputs, y = [x, *outputs[:-1]], outputs[-1]
    bound, finals = [], []
    kept: list[Any] = []  # arrays that the native call reads and writes
    for number, (layer, state) in enumerate(zip(layers, states, strict=True)):
        one = layer.bound(-1 if both_ways else number - 1, both_ways and number > 0)
        saved = new(len(x), one.saved_stride)
        one.x, one.x_stride = address(inputs[number]), inputs[number].shape[1]
        one.y, one.y_stride, one.saved = address(outputs[number]), outputs[number].strides[0] // 4, address(saved)
        given = [] if state is None else [np.ascontiguousarray(array) for array in layer.arrays(state)]
        final = [new(len(rows), size) for size in layer.state_sizes]
        one.h0, one.c0 = [*map(address, given), 0, 0][:2]
        one.h_last, one.c_last = [*map(address, final), 0][:2]
        bound.append(one)
        kept += [saved, given]
        finals.append(layer.after(state, final, rows.lengths))
    native.module.scan(native.plan(rows), bound)
    del kept
    return sequences.with_values(y), finals
