"""Layer types of a `spec`, and the step of each. The list is closed, so that a file contains no code."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.declared_types import Record, field
from elman.kernels.native import ACTIVATIONS, KINDS
from elman.nearest import did_you_mean
from elman.representation import brief_fields, call, complete
from elman.state import State

NORM_EPSILON = 1e-5  # for the layer norms inside an LSTM; the same as in native/recurrences/lstm_normed.hpp

DEEPEST = 50  # layers inside one another
LARGEST = 1 << 24  # features of a layer

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
        ValueError: the layer type is unknown, a setting is missing or wrong, or a tensor is missing or does not fit.
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, np.ndarray], depth: int = 0):
        self.kind, self._settings = field(spec, "kind", str), field(spec, "settings", Record)
        if self.kind not in LAYER_TYPES:
            raise ValueError(f"Stepper: expected a layer type of this version ({', '.join(LAYER_TYPES)}), got "
                             f"{self.kind!r}{did_you_mean(self.kind, LAYER_TYPES)}")  # fmt: skip
        self.input_size: int = self.setting("input_size", int)
        self.output_size: int = self.setting("output_size", int)
        for size in (self.input_size, self.output_size):
            self.check(1 <= size < LARGEST, f"sizes from 1 to {LARGEST - 1}", size)
        self.check(depth < DEEPEST, f"at most {DEEPEST} layers inside one another", "more")
        cells = field({"cells": [], **spec}, "cells", list[Record])
        count = {"stack": max(1, len(cells)), "residual": 1, "output_feedback": 1}.get(self.kind, 0)
        self.check(len(cells) == count, f"{count} cells", len(cells))
        self.cells = [Layer(cell, tensors, depth + 1) for cell in cells]
        self._names, self._tensors = field({"tensors": {}, **spec}, "tensors", Record), tensors

    @complete
    def __repr__(self) -> str:
        return call("Layer", self.kind, f"{self.input_size} -> {self.output_size}")

    @property
    def reads_ids(self) -> bool:
        """Whether the input is ids [B] instead of features [B, D]."""
        return self.kind == "embedding" or (self.kind == "stack" and self.cells[0].reads_ids)

    def tensor(self, name_in_cell: str, *shape: int) -> np.ndarray:
        """Return a tensor by its name in the cell, after a check of its type and shape."""
        name = field(self._names, name_in_cell, str)
        array = self._tensors.get(name)
        if array is None or array.dtype != np.float32 or array.shape != shape:
            got = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
            other = array is not None and array.dtype != np.float32
            way_out = "; convert the weights in PyTorch: model.float()" if other else ""
            raise ValueError(f"Stepper: {self.kind}: expected {name} float32 {list(shape)}, got {got}{way_out}.")
        return np.ascontiguousarray(array)

    def setting(self, name: str, declared: Any, default: Any = None) -> Any:
        """Return a setting of the declared type; the default if there is one and the setting is missing.

        Raises:
            ValueError: the setting is missing, or of another type.
        """
        return field(self._settings if default is None else {name: default, **self._settings}, name, declared)

    def word(self, name: str, known: Sequence[str]) -> str:
        """Return a setting that is one of the known words.

        Raises:
            ValueError: the setting is another word.
        """
        word: str = self.setting(name, str)
        self.check(word in known, f"{name} to be one of {', '.join(known)}", word)
        return word

    def check(self, right: bool, expected: str, got: object) -> None:
        """Raise a ValueError unless the layer is right."""
        if not right:
            raise ValueError(f"Stepper: {self.kind}: expected {expected}, got {got}.")

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        """Append the step of this layer to a native stepper; return its output array and its state.

        The native stepper compares no sizes, so they are compared here.

        Raises:
            ValueError: the layer does not fit its input, or its tensors do not fit its settings.
        """
        reads = "ids" if self.reads_ids else f"{self.input_size} features"
        got = "ids" if x.ndim == 1 else f"{x.shape[1]} features"
        self.check(reads == got, f"an input of {reads}", got)
        y, state = LAYER_TYPES[self.kind](stepper, self, x)
        self.check(y.shape[1] == self.output_size, f"an output of {self.output_size} features", y.shape[1])
        return y, state


class SizeCheck:
    """Stepper without memory: `Layer.add` compares all sizes with it before a real stepper allocates its arrays."""

    def __init__(self, batch_size: int):
        self._rows = batch_size

    def floats(self, columns: int) -> np.ndarray:
        """Return an array [B, columns] in which all numbers share their memory."""
        return np.broadcast_to(np.float32(0), (self._rows, columns))

    def integers(self) -> np.ndarray:
        """Return an array [B]."""
        return np.empty(self._rows, np.int64)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None  # add_linear, ...


def _rnn(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    return _recurrence(stepper, layer, x, "rnn", 1, activation=layer.word("activation", ACTIVATIONS))


def _lstm(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    outputs = layer.output_size
    units = layer.setting("hidden_size", int, outputs)
    layer.check(outputs <= units < LARGEST, f"a hidden_size from {outputs} to {LARGEST - 1}", units)
    c = stepper.floats(units)
    kind, gates = ("lstm", 4) if layer.setting("forget_gate", bool) else ("lstm_without_forget", 3)
    normed, coupled = (layer.setting(name, bool, False) for name in ("layer_norm", "coupled"))
    layer.check(not (coupled and gates == 4), "coupled gates without a forget gate", "one")
    layer.check(not (normed and units > outputs), "layer_norm without a projection", "one")
    options = {
        "weight_hr": layer.tensor("weight_hr", outputs, units) if units > outputs else None,
        **(_normed(layer, gates * units, units) if normed else {}),
        "peephole": layer.tensor("peephole", (gates - 1) * units) if layer.setting("peephole", bool, False) else None,
        "coupled": coupled,
        "clip": layer.setting("cell_clip", float, 0.0),
        "zone_h": layer.setting("zoneout_h", float, 0.0),
        "zone_c": layer.setting("zoneout_c", float, 0.0),
    }
    y, h = _recurrence(stepper, layer, x, kind, gates, c=c, **options)
    if not layer.setting("counted", bool, False):
        return y, LSTMState(h, c)
    return y, CountedLSTMState(h, c, *_counters(stepper))


def _normed(layer: Layer, gates: int, units: int) -> dict[str, np.ndarray]:
    return {"gain_ih": layer.tensor("gain_ih", gates), "gain_hh": layer.tensor("gain_hh", gates),
            "gain_c": layer.tensor("gain_c", units), "bias_c": layer.tensor("bias_c", units)}  # fmt: skip


def _gru(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
    reset = layer.word("reset", ("after", "before"))
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
    inputs, units, window = layer.input_size, layer.output_size, layer.setting("window", int)
    layer.check(1 <= window < LARGEST, f"a window from 1 to {LARGEST - 1}", window)
    weight, bias = layer.tensor("weight", units, window * inputs), layer.tensor("bias", units)
    past, y = stepper.floats((window - 1) * inputs), stepper.floats(units)
    if window > 1:
        seen = stepper.floats(window * inputs)
        stepper.add_window(x, past, seen)
        x = seen
    stepper.add_linear(x, weight, bias, y)
    stepper.add_activation(ACTIVATIONS.index(layer.word("activation", ACTIVATIONS)), y)
    return y, past.reshape(len(past), window - 1, inputs)


def _embedding(stepper: Any, layer: Layer, x: np.ndarray) -> tuple[np.ndarray, State]:
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
    stepper.add_layer_norm(x, *weights, layer.setting("epsilon", float), y)
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
    layer.check(around.shape == x.shape, f"a cell with an output of {x.shape[1]} features", around.shape[1])
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
