"""Writers of poolings, and of layers that compare a step with those before it."""

from typing import Any

import numpy as np

from elman.convert.onnx_writing.layers import LayerWriter
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import Value, concat, exp, less, maximum, tanh, where
from elman.network.changes import Deviations, Differences
from elman.network.pooling import AttentionPooling, LastPooling
from elman.network.states import AttentionState, PreviousStep, RunningSum
from elman.state import State


class PoolingWriter(LayerWriter):
    """Nodes of a pooling: a running output after every step, and the output after the last step of whole rows."""

    def pool(self, layer: Any, x: Value, rows: PaddedRows) -> Value:
        """Compute the output of whole rows: x [B, T, D] -> [B, D], zeros for an empty row."""
        raise NotImplementedError(f"{type(self).__name__} has no pool")


class LastPoolingWriter(PoolingWriter, kind="last_pooling"):
    """Nodes of the last step, and of the first one for the features of a backward cell."""

    def step(self, layer: LastPooling, x: Value, state: State) -> tuple[Value, State]:
        return x, state

    def scan(self, layer: LastPooling, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        if layer.streams:
            return x, ()
        forward, backward = self._parts(layer, x)
        first = x.graph.node("Expand", backward[:, :1], x.graph.node("Shape", backward, dtype=np.int64))
        return concat([forward, first], 2), ()

    def pool(self, layer: LastPooling, x: Value, rows: PaddedRows) -> Value:
        last = rows.at(x, maximum(rows.lengths - 1, 0))
        if not layer.streams:
            forward, backward = self._parts(layer, x)
            last = concat([rows.at(forward, maximum(rows.lengths - 1, 0)), rows.at(backward, rows.lengths * 0)], 1)
        return where(rows.empty.expand_dims(1), 0, last)

    def _parts(self, layer: LastPooling, x: Value) -> tuple[Value, Value]:
        size = layer.input_size - layer.backward_size
        return x[:, :, :size], x[:, :, size:]


class MeanPoolingWriter(PoolingWriter, kind="mean_pooling"):
    """Nodes of the mean."""

    def step(self, layer: Any, x: Value, state: RunningSum) -> tuple[Value, State]:
        state = RunningSum(state.sum + x, state.steps + 1)
        return state.sum / state.steps.astype(np.float32).expand_dims(1), state

    def pool(self, layer: Any, x: Value, rows: PaddedRows) -> Value:
        return rows.sum(x) / maximum(rows.lengths, 1).astype(np.float32).expand_dims(1)


class MaxPoolingWriter(PoolingWriter, kind="max_pooling"):
    """Nodes of the maximum."""

    def step(self, layer: Any, x: Value, state: Value) -> tuple[Value, State]:
        y = maximum(state, x)
        return y, y

    def pool(self, layer: Any, x: Value, rows: PaddedRows) -> Value:
        return where(rows.empty.expand_dims(1), 0, where(rows.mask.expand_dims(2), x, -np.inf).max(1))


class AttentionPoolingWriter(PoolingWriter, kind="attention_pooling"):
    """Nodes of an attention-weighted sum: a running softmax, or a softmax over whole rows."""

    def step(self, layer: AttentionPooling, x: Value, state: AttentionState) -> tuple[Value, State]:
        score = self._scores(layer, x).squeeze(1)
        largest = maximum(state.largest, score)
        before, now = exp(state.largest - largest), exp(score - largest)
        weight = before * state.weight + now
        total = before.expand_dims(1) * state.sum + now.expand_dims(1) * x
        return total / weight.expand_dims(1), AttentionState(largest, weight, total)

    def pool(self, layer: AttentionPooling, x: Value, rows: PaddedRows) -> Value:
        return rows.sum(rows.softmax(self._scores(layer, x)) * x)

    def _scores(self, layer: AttentionPooling, x: Value) -> Value:
        return tanh(x @ layer.weight.T + layer.bias) @ layer.query.T


class DeviationsWriter(LayerWriter, kind="deviations"):
    """Nodes of the deviation from the running mean."""

    def step(self, layer: Deviations, x: Value, state: RunningSum) -> tuple[Value, State]:
        state = RunningSum(state.sum + x, state.steps + 1)
        steps = state.steps.astype(np.float32).expand_dims(*range(1, 1 + len(layer.step_shape)))
        return x - state.sum / steps, state


class DifferencesWriter(LayerWriter, kind="differences"):
    """Nodes of the difference to the previous step."""

    def step(self, layer: Differences, x: Value, state: PreviousStep) -> tuple[Value, State]:
        previous, steps = state
        known = less(steps * -1, 0).expand_dims(*range(1, 1 + len(layer.step_shape)))
        change = where(known, (x - previous) / layer.scale, 0)
        return concat([x, change], 1), PreviousStep(x, steps + 1)
