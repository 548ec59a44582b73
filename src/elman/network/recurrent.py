"""RNN, LSTM and GRU without PyTorch: stacked layers, or both directions of one layer, in one native call."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.cell import unroll
from elman.kernels import native
from elman.kernels.native import ACTIVATIONS, KINDS
from elman.network.layer import Layer
from elman.network.memory import address, new
from elman.network.pointwise import counters
from elman.network.recurrent_steps import gru_step, lstm_step, rnn_step
from elman.network.spec import LARGEST, LayerSpec
from elman.network.states import CountedLSTMState, LSTMState
from elman.rows import Rows, one_step_each
from elman.sequences import Sequences
from elman.state import State

MASKS = "candidate", "hidden"  # that evaluation mode does not apply


class Recurrent(Layer):
    """Base of layers that the native time loop runs.

    Attributes:
        native_kind: one of `KINDS`.
        weights: the tensors, by the names of the native layer.
        options: other settings of the native layer, by its names.
        state_sizes: features of each array of the state.
    """

    native_kind: str
    activation: str = "tanh"
    options: dict[str, float]
    state_sizes: tuple[int, ...]

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.options, self.state_sizes = {}, (self.output_size,)
        self._packed: Any = None

    def read_weights(self, spec: LayerSpec, gates: int, units: int, **others: tuple[int, ...]) -> None:
        """Read the weights that all recurrent layers have, and others of the given shapes."""
        shapes = {"weight_ih": (gates * units, self.input_size), "weight_hh": (gates * units, self.output_size),
                  "bias": (gates * units,), **others}  # fmt: skip
        self.weights = {name: spec.tensor(name, *shape) for name, shape in shapes.items()}

    def advance(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Compute a step in NumPy: x [B, D] -> y [B, O] and the state after it."""
        raise NotImplementedError

    def initial_state(self, batch_size: int) -> State:
        return self.structured([np.zeros((batch_size, size), np.float32) for size in self.state_sizes])

    def structured(self, arrays: Sequence[np.ndarray]) -> State:
        """Return the arrays of a state, [B, H] each, in its structure."""
        (h,) = arrays
        return h

    def arrays(self, state: State) -> list[np.ndarray]:
        """Return the arrays of a state that the native loop reads."""
        return [state]

    def bound(self, below: int, reverse: bool) -> Any:
        """Return the native layer with the addresses of its weights, and its packed weights."""
        units = len(self.weights["weight_hh"]) // native.GATES[KINDS.index(self.native_kind)]
        layer = native.module.Layer(KINDS.index(self.native_kind), ACTIVATIONS.index(self.activation), self.input_size,
                                    units, self.output_size, reverse, below)  # fmt: skip
        for name, weight in self.weights.items():
            setattr(layer, name, address(weight))
        if self.options:
            layer.any_option = True
            layer.coupled, layer.clip = bool(self.options["coupled"]), self.options["clip"]
            for name in MASKS:
                getattr(layer, f"set_{name}")(0, 0.0)
            layer.set_zone_h(0, self.options["zone_h"])
            layer.set_zone_c(0, self.options["zone_c"])
        if self._packed is None:
            self._packed = layer.pack(False)
        layer.packed = self._packed.address
        return layer

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        if not native.available():
            return self.advance(x, state)
        y, (state,) = scan_recurrences([self], x, one_step_each(len(x)), [state])
        return y, state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        if not native.available():
            return self.unrolled(sequences, state)
        y, (state,) = scan_recurrences([self], sequences.values, sequences.layout, None if state is None else [state])
        return sequences.with_values(y), state

    def unrolled(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        """Repeat the step in NumPy along every row, which is the definition of a scan."""
        return unroll(self.advance, sequences, self.initial_state(len(sequences)) if state is None else state)

    def after(self, before: State | None, arrays: Sequence[np.ndarray], lengths: np.ndarray) -> State:
        """Return the state after a scan of rows of these lengths, from the arrays of the native loop."""
        return self.structured(arrays)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y, leaves = stepper.floats(self.output_size), [stepper.floats(size) for size in self.state_sizes]
        weights = {"bias_hn": None, **self.weights}
        c = leaves[1] if len(leaves) > 1 else None
        stepper.add_recurrence(KINDS.index(self.native_kind), ACTIVATIONS.index(self.activation), x, y, leaves[0], c,
                               weights.pop("weight_ih"), weights.pop("weight_hh"), weights.pop("bias"),
                               weights.pop("bias_hn"), **weights, **self.options)  # fmt: skip
        return y, self.structured(leaves)


def scan_recurrences(
    layers: Sequence[Recurrent], x: np.ndarray, rows: Rows, states: Sequence[State] | None, both_ways: bool = False
) -> tuple[np.ndarray, list[State]]:
    """Scan stacked layers, or the two directions of one layer, in the native time loop.

    Args:
        x: [N, D], contiguous.
        rows: the layout of x.
        states: the state of each layer; None for the initial states.
        both_ways: whether every layer reads x, the second one from the end, instead of the output of the layer below.
    Returns:
        the output of the last layer, [N, H], or of both directions, [N, H + H]; the final state of each layer.
    """
    count, x = len(x), np.ascontiguousarray(x, np.float32)
    bound = [layer.bound(-1 if both_ways else number - 1, both_ways and number > 0)
             for number, layer in enumerate(layers)]  # fmt: skip
    kept: list[Any] = []  # arrays that the native call reads and writes
    if both_ways:
        y = new(count, sum(layer.output_size for layer in layers))
        ends = np.cumsum([layer.output_size for layer in layers])
        outputs = [y[:, end - layer.output_size : end] for layer, end in zip(layers, ends, strict=True)]
        inputs = [x] * len(layers)
    else:
        outputs = [new(count, layer.output_size) for layer in layers]
        inputs, y = [x, *outputs[:-1]], outputs[-1]
    finals: list[State] = []
    for number, (layer, one) in enumerate(zip(layers, bound, strict=True)):
        saved = new(count, one.saved_stride)
        final = [new(len(rows), size) for size in layer.state_sizes]
        one.x, one.x_stride = address(inputs[number]), inputs[number].shape[1]
        one.y, one.y_stride, one.saved = address(outputs[number]), outputs[number].strides[0] // 4, address(saved)
        before = None if states is None else states[number]
        given = [] if before is None else [np.ascontiguousarray(a, np.float32) for a in layer.arrays(before)]
        one.h0, one.c0 = [*map(address, given), 0, 0][:2]
        one.h_last, one.c_last = [*map(address, final), 0][:2]
        kept += [saved, given]
        finals.append(layer.after(before, final, rows.lengths))
    native.module.scan(native.plan(rows), bound)
    del kept
    return y, finals


class RNN(Recurrent):
    """Simple recurrent network: h = f(x W_ih' + h W_hh' + b); y = h (Elman 1990)."""

    kind = "rnn"
    native_kind = "rnn"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.activation = spec.word("activation", ACTIVATIONS)
        self.read_weights(spec, 1, self.output_size)

    def advance(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rnn_step(self.weights, self.activation, x, state)


class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078)."""

    kind = "gru"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.reset = spec.word("reset", ("after", "before"))
        self.native_kind = f"gru_{self.reset}"
        inside = {"bias_hn": (self.output_size,)} if self.reset == "after" else {}
        self.read_weights(spec, 3, self.output_size, **inside)

    def advance(self, x: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return gru_step(self.weights, x, state)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with the options of `elman.LSTM`."""

    kind = "lstm"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        outputs = self.output_size
        units = spec.setting("hidden_size", int, outputs)
        spec.check(outputs <= units < LARGEST, f"a hidden_size from {outputs} to {LARGEST - 1}", units)
        self.native_kind, gates = ("lstm", 4) if spec.setting("forget_gate", bool) else ("lstm_without_forget", 3)
        normed, coupled, peephole = (spec.setting(name, bool, False) for name in ("layer_norm", "coupled", "peephole"))
        spec.check(not (coupled and gates == 4), "coupled gates without a forget gate", "one")
        spec.check(not (normed and units > outputs), "layer_norm without a projection", "one")
        norms = {"gain_ih": (gates * units,), "gain_hh": (gates * units,), "gain_c": (units,), "bias_c": (units,)}
        self.read_weights(spec, gates, units, **norms if normed else {},
                          **{"weight_hr": (outputs, units)} if units > outputs else {},
                          **{"peephole": ((gates - 1) * units,)} if peephole else {})  # fmt: skip
        self.state_sizes = outputs, units
        options = {"coupled": coupled, "clip": spec.setting("cell_clip", float, 0.0),
                   "zone_h": spec.setting("zoneout_h", float, 0.0),
                   "zone_c": spec.setting("zoneout_c", float, 0.0)}  # fmt: skip
        if any(options.values()) or len(self.weights) > 3:
            self.options = options
        self.counted = spec.setting("counted", bool, False)

    def structured(self, arrays: Sequence[np.ndarray]) -> LSTMState | CountedLSTMState:
        h, c = arrays
        if not self.counted:
            return LSTMState(h, c)
        return CountedLSTMState(h, c, np.arange(len(h)), np.zeros(len(h), np.int64))

    def arrays(self, state: State) -> list[np.ndarray]:
        return list(state[:2])

    def after(self, before: State | None, arrays: Sequence[np.ndarray], lengths: np.ndarray) -> State:
        state = self.structured(arrays)
        if not self.counted:
            return state
        row, step = state[2:] if before is None else before[2:]
        return CountedLSTMState(*arrays, row, step + lengths)

    def advance(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        h, c = lstm_step(self.weights, self.options, x, *state[:2])
        return h, self.after(state, (h, c), np.ones(len(h), np.int64))

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        y, state = super().add(stepper, x)
        return y, CountedLSTMState(*state[:2], *counters(stepper)) if self.counted else state
