"""Writers of layers that contain layers."""

from typing import Any

from elman.convert.onnx_writing.layers import LayerWriter, write_scan, write_step
from elman.convert.onnx_writing.recurrent import write_operator
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import Value, concat
from elman.state import State


class StackWriter(LayerWriter, kind="stack"):
    """Nodes of one layer after another."""

    def step(self, layer: Any, x: Value, state: State) -> tuple[Value, State]:
        after = []
        for cell, before in zip(layer.cells, state, strict=True):
            x, new = write_step(cell, x, before)
            after.append(new)
        return x, tuple(after)

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        after = []
        for cell, before in zip(layer.cells, [None] * len(layer.cells) if state is None else state, strict=True):
            x, new = write_scan(cell, x, rows, before)
            after.append(new)
        return x, tuple(after)


class ClassifierWriter(StackWriter, kind="classifier"):
    """Nodes of the logits after every step."""


class ResidualWriter(LayerWriter, kind="residual"):
    """Nodes of a layer, and the sum with its input."""

    def step(self, layer: Any, x: Value, state: State) -> tuple[Value, State]:
        y, state = write_step(layer.cell, x, state)
        return x + y, state

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        y, state = write_scan(layer.cell, x, rows, state)
        return x + y, state


class OutputFeedbackWriter(LayerWriter, kind="output_feedback"):
    """Nodes of a layer that also reads its previous output."""

    def step(self, layer: Any, x: Value, state: State) -> tuple[Value, State]:
        inner, before = state
        y, inner = write_step(layer.cell, concat([x, before], 1), inner)
        return y, (inner, y)


class BidirectionalWriter(LayerWriter, kind="bidirectional"):
    """One operator for both directions where there is one, else two scans of which one reads reversed rows."""

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        written = write_operator(layer.cells, "bidirectional", x, rows, state)
        if written is not None:
            return written
        first, last = (None, None) if state is None else state
        forward, first = write_scan(layer.forward, x, rows, first)
        backward, last = write_scan(layer.backward, rows.reverse(x), rows, last)
        return concat([forward, rows.reverse(backward)], 2), (first, last)


class ReversedWriter(LayerWriter, kind="reversed"):
    """One operator where there is one, else a scan of reversed rows."""

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        written = write_operator([layer.cell], "reverse", x, rows, None if state is None else [state])
        if written is not None:
            y, (state,) = written
            return y, state
        y, state = write_scan(layer.cell, rows.reverse(x), rows, state)
        return rows.reverse(y), state
