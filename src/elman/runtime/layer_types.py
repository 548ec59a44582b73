"""Layer types of a `spec`, and the step of each. The list is closed, so that a file contains no code."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from elman.kernels.native import ACTIVATIONS, KINDS
from elman.nearest import did_you_mean
from elman.representation import brief_fields, call, complete
from elman.state import State

NORM_EPSILON = 1e-5  # for the layer norms inside an LSTM; the same as in native/recurrences/lstm_normed.hpp

# {kind, settings: {input_size, output_size, ...}, tensors: {name in the cell: name in the file}, cells: [Spec, ...]}
Spec = dict[str, Any]


@brief_fields
class LSTMState(NamedTuple):
    """State of an LSTM; `Any` is a tensor in PyTorch and an array here."""

    h: Any  # [B, H] the hidden state, which is the output; [B, P] with a projection
    c: Any  # [B, H] the cell state


@brief_fields
class CountedLSTMState(NamedTuple):
    """State of an LSTM with random masks; row and step determine the next masks."""

    h: Any  # [B, H]
    c: Any  # [B, H]
    row: Any  # [B] int64
    step: Any  # [B] int64


@brief_fields
class DropoutState(NamedTuple):
    """Row and step, which determine the next mask: stepping and scanning, cut anywhere, drop the same units."""

    row: Any  # [B] int64
    step: Any  # [B] int64


class Layer:
    """Cell or layer as its `spec` describes it, with its tensors.

    Raises:
        ValueError: the layer type is unknown, or a tensor is missing or does not fit.
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, np.ndarray]):
        self.kind, self.settings = spec["kind"], spec["settings"]
        if self.kind not in LAYER_TYPES:
            raise ValueError(f"Stepper: expected a layer type of this version ({', '.join(LAYER_TYPES)}), got "
                             f"{self.kind!r}{did_you_mean(self.kind, LAYER_TYPES)}")  # fmt: skip
        self.input_size: int = self.settings["input_size"]
        self.output_size: int = self.settings["output_size"]
        self.cells = [Layer(cell, tensors) for cell in spec.get("cells", ())]
        self._names, self._tensors = spec.get("tensors", {}), tensors

    @complete
    def __repr__(self) -> str:
        return call("Layer", self.kind, f"{self.input_size} -> {self.output_size}")

    @property
    def reads_ids(self) -> bool:
        """Whether the input is ids [B] instead of features [B, D]."""
        return self.kind == "embedding" or (self.kind == "stack" and self.cells[0].reads_ids)

    def tensor(self, name_in_cell: str, *shape: int) -> np.ndarray:
        """Return a tensor by its name in the cell, after a check of its type and shape."""
        name = self._names[name_in_cell]
        array = self._tensors.get(name)
        if array is None or array.dtype != np.float32 or array.shape != shape:
            got = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
            raise ValueError(f"Stepper: {self.kind}: expected {name} float32 {list(shape)}, got {got}.")
        return np.ascontiguousarray(array)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        """Append the step of this layer to a native stepper; return its output array and its state."""
        return LAYER_TYPES[self.kind](stepper, self, x)


def _rnn(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    return _recurrence(stepper, layer, x, "rnn", 1, activation=layer.settings["activation"])


def _lstm(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    settings, outputs = layer.settings, layer.output_size
    units = settings.get("hidden_size", outputs)
    c = stepper.floats(units)
    kind, gates = ("lstm", 4) if settings["forget_gate"] else ("lstm_without_forget", 3)
    options = {
        "weight_hr": layer.tensor("weight_hr", outputs, units) if units > outputs else None,
        **(_normed(layer, gates * units, units) if settings.get("layer_norm") else {}),
        "peephole": layer.tensor("peephole", (gates - 1) * units) if settings.get("peephole") else None,
        "coupled": settings.get("coupled", False),
        "clip": settings.get("cell_clip", 0.0),
        "zone_h": settings.get("zoneout_h", 0.0),
        "zone_c": settings.get("zoneout_c", 0.0),
    }
    y, h = _recurrence(stepper, layer, x, kind, gates, c=c, **options)
    if not settings.get("counted"):
        return y, LSTMState(h, c)
    return y, CountedLSTMState(h, c, *_counters(stepper))


def _normed(layer: Layer, gates: int, units: int) -> dict[str, np.ndarray]:
    return {"gain_ih": layer.tensor("gain_ih", gates), "gain_hh": layer.tensor("gain_hh", gates),
            "gain_c": layer.tensor("gain_c", units), "bias_c": layer.tensor("bias_c", units)}  # fmt: skip


def _gru(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    reset = layer.settings["reset"]
    bias_hn = layer.tensor("bias_hn", layer.output_size) if reset == "after" else None
    return _recurrence(stepper, layer, x, f"gru_{reset}", 3, bias_hn=bias_hn)


def _recurrence(
    stepper: Any,
    layer: Layer,
    x: np.ndarray,
    kind: str,
    gates: int,
    *,
    activation: str = "tanh",
    c: np.ndarray | None = None,
    bias_hn: np.ndarray | None = None,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    inputs, outputs = layer.input_size, layer.output_size
    units = outputs if c is None else c.shape[1]
    weights = (
        layer.tensor("weight_ih", gates * units, inputs),
        layer.tensor("weight_hh", gates * units, outputs),
        layer.tensor("bias", gates * units),
    )
    h, y = stepper.floats(outputs), stepper.floats(outputs)
    numbers = KINDS.index(kind), ACTIVATIONS.index(activation)
    stepper.add_recurrence(*numbers, x, y, h, c, *weights, bias_hn, **options)
    return y, h


def _min_gru(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    inputs, units = layer.input_size, layer.output_size
    h, y = stepper.floats(units), stepper.floats(units)
    weight, bias = layer.tensor("weight_ih", 2 * units, inputs), layer.tensor("bias", 2 * units)
    stepper.add_min_gru(x, weight, bias, h, y)
    return y, h


def _window_net(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    inputs, units, window = layer.input_size, layer.output_size, layer.settings["window"]
    past, y = stepper.floats((window - 1) * inputs), stepper.floats(units)
    if window > 1:
        seen = stepper.floats(window * inputs)
        stepper.add_window(x, past, seen)
        x = seen
    stepper.add_linear(x, layer.tensor("weight", units, window * inputs), layer.tensor("bias", units), y)
    stepper.add_activation(ACTIVATIONS.index(layer.settings["activation"]), y)
    return y, past.reshape(len(past), window - 1, inputs)


def _embedding(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    if x.ndim != 1:
        raise ValueError("Stepper: expected an embedding as the first layer, since it reads ids; got one after another "
                         "layer.")  # fmt: skip
    y = stepper.floats(layer.output_size)
    stepper.add_embedding(x, layer.tensor("weight", layer.input_size, layer.output_size), y)
    return y, ()


def _linear(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    y = stepper.floats(layer.output_size)
    weight, bias = layer.tensor("weight", layer.output_size, layer.input_size), layer.tensor("bias", layer.output_size)
    stepper.add_linear(x, weight, bias, y)
    return y, ()


def _layer_norm(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    y = stepper.floats(layer.output_size)
    weights = layer.tensor("weight", layer.output_size), layer.tensor("bias", layer.output_size)
    stepper.add_layer_norm(x, *weights, layer.settings["epsilon"], y)
    return y, ()


def _dropout(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    """Return the input unchanged, because a stepper runs in evaluation mode."""
    return x, DropoutState(*_counters(stepper))


def _counters(stepper: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the rows and of their steps, so that training can continue from the state."""
    row, step = stepper.integers(), stepper.integers()
    row[:] = range(len(row))
    stepper.add_count(step)
    return row, step


def _stack(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    after = []
    for cell in layer.cells:
        x, state = cell.add(stepper, x)
        after.append(state)
    return x, tuple(after)


def _residual(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    around, state = layer.cells[0].add(stepper, x)
    y = stepper.floats(layer.output_size)
    stepper.add_sum(x, around, y)
    return y, state


def _output_feedback(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    before, joined = stepper.floats(layer.output_size), stepper.floats(layer.input_size + layer.output_size)
    stepper.add_join(x, before, joined)
    y, state = layer.cells[0].add(stepper, joined)
    stepper.add_copy(y, before)
    return y, (state, before)


LAYER_TYPES: dict[str, Callable[[Any, Layer, np.ndarray], tuple[np.ndarray, State]]] = {
    "rnn": _rnn,
    "lstm": _lstm,
    "gru": _gru,
    "min_gru": _min_gru,
    "window_net": _window_net,
    "embedding": _embedding,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "dropout": _dropout,
    "stack": _stack,
    "residual": _residual,
    "output_feedback": _output_feedback,
}
