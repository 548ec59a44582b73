"""Rows of a padded batch in an ONNX graph: their lengths, masks, reversal, and loops over their steps."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from onnx import helper

from elman import state as states
from elman.convert.onnx_writing.values import Value, concat, equal, integers, less, softmax, where
from elman.state import State

LOWEST = -1e30  # score of a step that is padding


class PaddedRows:
    """Layout of a padded batch [B, T, ...]: row b has `lengths[b]` steps, and padding after them.

    Args:
        lengths: [B] int64.
        values: an array [B, T, ...] of the batch.
    """

    def __init__(self, lengths: Value, values: Value):
        self.graph, self.lengths = lengths.graph, lengths
        self._values = values

    @classmethod
    def unpadded(cls, values: Value) -> "PaddedRows":
        """Return the layout of a batch [B, T, ...] whose rows all have T steps."""
        return cls(values.graph.node("Expand", values.size(1), values.size(0)), values)

    @cached_property
    def count(self) -> Value:
        """B, [1] int64."""
        return self.lengths.size(0)

    @cached_property
    def lengths32(self) -> Value:
        """Lengths for the recurrent operators, [B] int32."""
        return self.lengths.astype(np.int32)

    @cached_property
    def empty(self) -> Value:
        """Whether a row has no steps, [B]."""
        return equal(self.lengths, 0)

    @cached_property
    def mask(self) -> Value:
        """Whether a step is real, [B, T]."""
        node = self.graph.node
        steps = node("Range", np.array(0), self._values.size(1).reshape(), np.array(1), dtype=np.int64)
        return less(steps.expand_dims(0), self.lengths.expand_dims(1))

    def reverse(self, values: Value) -> Value:
        """Return values [B, T, ...] with the steps of every row from its last to its first."""
        return self.graph.node("ReverseSequence", values, self.lengths, batch_axis=0, time_axis=1)

    def at(self, values: Value, steps: Value) -> Value:
        """Return the value at a step of each row: values [B, T, ...], steps [B] -> [B, ...]."""
        return self.graph.node("GatherND", values, steps.expand_dims(1), batch_dims=1)

    def sum(self, values: Value) -> Value:
        """Return the sum over the steps of each row: [B, T, D] -> [B, D]."""
        return where(self.mask.expand_dims(2), values, 0).sum(1)

    def softmax(self, scores: Value) -> Value:
        """Return the softmax over the steps of each row, [B, T, 1]; zeros for padding."""
        real = self.mask.expand_dims(2)
        return softmax(where(real, scores, LOWEST), axis=1) * real.astype(np.float32)

    def initial(self, state: State) -> State:
        """Return an initial state for all rows, from that of a single row."""

        def expand(leaf: np.ndarray) -> Value:
            shape = concat([self.count, integers(*leaf.shape[1:])], 0)
            return self.graph.node("Expand", self.graph.constant(leaf), shape)

        return states.map(expand, state)

    def loop(self, step: Callable[[Value, State], tuple[Value, State]], x: Value, state: State,
             axes: Sequence[int]) -> tuple[Value, State]:  # fmt: skip
        """Repeat a step along every row.

        Args:
            step: step(x [B, ...], state) returns y and the state after it.
            x: [B, T, ...].
            state: the state before the first step.
            axes: number of axes of each leaf of the state.
        Returns:
            y [B, T, ...] and the state after the last step of each row.
        """
        given = list(states.leaves(state))
        with self.graph.body() as nodes:
            inside = [self.graph.local("state", leaf.dtype) for leaf in given]
            now, real = self.graph.local("x", x.dtype), self.graph.local("real", bool)
            leaves = iter(inside)
            y, after = step(now, states.map(lambda _: next(leaves), state))
            new = [where(real if rank == 1 else real.expand_dims(*range(1, rank)), leaf, before)
                   for leaf, before, rank in zip(states.leaves(after), inside, axes, strict=True)]  # fmt: skip
            new = [self.graph.node("Identity", leaf) for leaf in [*new, y]]
        info = helper.make_tensor_value_info
        kind = helper.np_dtype_to_tensor_dtype
        inputs, outputs = ([info(value.name, kind(value.dtype), None) for value in values]
                           for values in ([*inside, now, real], new))  # fmt: skip
        body = helper.make_graph(nodes, "step", inputs, outputs)
        ends = self.graph.node_outputs("Scan", [*given, x, self.mask], len(new), body=body, num_scan_inputs=2,
                                           scan_input_axes=[1, 1], scan_output_axes=[1])  # fmt: skip
        for end, value in zip(ends, new, strict=True):
            end.dtype = value.dtype
        *final, y = ends
        leaves = iter(final)
        return y, states.map(lambda _: next(leaves), state)
