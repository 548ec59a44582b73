"""Base of the writers of layer types, and the writers of layers without a state."""

from functools import partial
from typing import Any, ClassVar

import numpy as np

from elman import state as states
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import Value
from elman.network import Layer
from elman.network.states import DropoutState
from elman.state import State

WRITERS: dict[str, "LayerWriter"] = {}  # by layer type


class LayerWriter:
    """Nodes that compute the layers of one type, step by step and over whole rows.

    A subclass implements `step`. Its `scan` repeats the step in a loop, unless it overrides `scan`.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, kind: str = "") -> None:
        if kind:
            cls.kind, WRITERS[kind] = kind, cls()

    def step(self, layer: Any, x: Value, state: State) -> tuple[Value, State]:
        """Compute a step: x [B, ...] and the state before it -> y [B, O] and the state after it."""
        raise NotImplementedError(f"{type(self).__name__} has no step")

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        """Compute all steps: x [B, T, ...] and the first state, None for the initial one -> y [B, T, O], last state."""
        first = layer.initial_state(1)
        axes = [leaf.ndim for leaf in states.leaves(first)]
        return rows.loop(partial(self.step, layer), x, rows.initial(first) if state is None else state, axes)


def writer(layer: Layer) -> LayerWriter:
    """Return the writer of a layer.

    Raises:
        ValueError: ONNX files of this layer type are not supported.
    """
    if layer.kind not in WRITERS:
        raise ValueError(f"to_onnx: {type(layer).__name__} is not supported; convert the layers before and after it "
                         "separately.")  # fmt: skip
    return WRITERS[layer.kind]


def write_step(layer: Layer, x: Value, state: State) -> tuple[Value, State]:
    """Write the nodes of one step of a layer; as `LayerWriter.step`."""
    return writer(layer).step(layer, x, state)


def write_scan(layer: Layer, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
    """Write the nodes of all steps of a layer; as `LayerWriter.scan`."""
    return writer(layer).scan(layer, x, rows, state)


class PointwiseWriter(LayerWriter):
    """Nodes of layers without a state, which are the same for a step and for whole rows."""

    def apply(self, layer: Any, x: Value) -> Value:
        """Compute y [..., O]."""
        raise NotImplementedError(f"{type(self).__name__} has no apply")

    def step(self, layer: Any, x: Value, state: State) -> tuple[Value, State]:
        return self.apply(layer, x), state

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        return self.apply(layer, x), ()


class EmbeddingWriter(PointwiseWriter, kind="embedding"):
    """Node that reads rows of a table."""

    def apply(self, layer: Any, x: Value) -> Value:
        return x.graph.node("Gather", layer.weight, x, dtype=np.float32)


class LinearWriter(PointwiseWriter, kind="linear"):
    """Nodes of an affine map."""

    def apply(self, layer: Any, x: Value) -> Value:
        return x @ layer.weight.T + layer.bias


class LayerNormWriter(PointwiseWriter, kind="layer_norm"):
    """Node of a layer norm."""

    def apply(self, layer: Any, x: Value) -> Value:
        return x.graph.node("LayerNormalization", x, layer.weight, layer.bias, epsilon=layer.epsilon)


class DropoutWriter(LayerWriter, kind="dropout"):
    """Identity. No output depends on the counters of the state, so that graphs leave them out."""

    def step(self, layer: Any, x: Value, state: DropoutState) -> tuple[Value, State]:
        return x, DropoutState(state.row, state.step + 1)

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        row, step = rows.initial(layer.initial_state(1)) if state is None else state
        return x, DropoutState(row, step + rows.lengths)
