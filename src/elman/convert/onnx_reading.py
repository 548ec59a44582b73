"""ONNX files as layers of elman: the data is followed through the graph, axis by axis."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from elman.cells import CellModule
from elman.cells.torch_weights import with_weights
from elman.convert.onnx_graph import Graph, own, title
from elman.convert.parts import Part, joined, needed
from elman.layers import Bidirectional, Embedding, LastPooling, LayerNorm, Linear, Reversed
from elman.shapes import check

MOVES = ("Concat", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
READOUTS = ("Softmax", "LogSoftmax", "Sigmoid")  # that `logits` leaves off


def from_onnx(source: Any, node: str | None = None, *, logits: bool = False) -> CellModule:
    """The layers of an ONNX graph with their weights, as a cell or a `Stack`, in evaluation mode.

    `RNN`, `LSTM` and `GRU`, `MatMul` and `Add`, `Gemm`, `Gather` (an `Embedding`) and `LayerNormalization`, one behind
    the other from an input to an output; what lies between them may move axes, but not mix them. What goes on with a
    final state is preceded by a `LastPooling`. Initial states are zero, or inputs of the graph.

    Args:
        source: the path of a file, or an `onnx.ModelProto`.
        node: take this recurrence alone, whatever the graph does before and behind it: its name, or that of an output.
        logits: leave off the softmax or the sigmoid at the end, of which there is none here.
    Raises:
        TypeError: a source that is neither.
        ValueError: a node or a setting that there is none of here; a file that is no such file, or cut short.
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: onnx is not installed (the extra `elman[onnx]`).
    """
    graph = Graph(_loaded(source).graph)
    names = ", ".join(repr(one.name or one.output[0]) for one in graph.recurrences)
    if node is not None:
        found = next((one for one in graph.recurrences if node == one.name or node in one.output), None)
        if found is None:
            raise ValueError(
                f"from_onnx: node={node!r}: expected a recurrence, one of {names or 'which there is none'}."
            )
        return joined("from_onnx", [graph.recurrence(found)]).eval()
    try:
        return joined("from_onnx", _Way(graph, logits).parts()).eval()
    except _OffTheWay as error:
        hint = f"; node= takes one recurrence alone: {names}." if names else "."
        raise ValueError(f"from_onnx: {error}{hint}") from None


def _loaded(source: Any) -> Any:
    onnx = needed("onnx", "onnx", "reading ONNX files")
    if isinstance(source, onnx.ModelProto):
        return source
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"from_onnx: expected a path or an onnx.ModelProto, got {type(source).__name__}.")
    path, protobuf = Path(source), needed("google.protobuf.message", "onnx", "reading ONNX files")
    if not path.is_file():
        raise FileNotFoundError(f"from_onnx: {path}: no such file; name an ONNX file.")
    try:
        model = onnx.load(path, format="protobuf")
    except (protobuf.DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        raise ValueError(f"from_onnx: {path}: not an ONNX file, or cut short: {error}.") from None
    if not model.graph.node:
        raise ValueError(f"from_onnx: {path}: not an ONNX file, or one without a node.")
    return model


class _OffTheWay(Exception):
    """What lies on the way from the input to the output, and there is none of here."""


class _Flow(NamedTuple):
    """A tensor on the way from the input."""

    parts: tuple[Part, ...]  # the layers that it has passed
    axes: tuple[str, ...]  # behind a layer `ways` (directions) and `features` and two of the input's, else the input's
    rows: tuple[str, ...] = ()  # the two axes that a recurrence has read as time and batch
    kind: str = "y"  # of what a recurrence writes, or a final state, h or c
    ways: int = 1
    last: Part | None = None  # the LastPooling that a final state stands for
    open: bool = False  # whether an Add may still give a Linear its bias
    why_not: str = ""  # off the way, and this is why


class _Way:
    """From the input to the output of a graph."""

    def __init__(self, graph: Graph, logits: bool):
        self.graph, self.logits = graph, logits

    def parts(self) -> list[Part]:
        """The layers on it."""
        flows = {}
        for name, value in self.graph.inputs.items():
            rank = len(value.type.tensor_type.shape.dim)
            flows[name] = _Flow((), tuple(f"axis {axis} of {name}" for axis in range(rank)))
        for node in self.graph.nodes:
            read = list(node.input[:1] if node in self.graph.recurrences else node.input)  # without states and lengths
            given = [flows[name] for name in read if name in flows]
            if given and node.op_type != "Shape":
                flows |= dict(zip(node.output, self._written(node, given), strict=False))
        ends = [flows[name] for name in self.graph.outputs if name in flows]
        final = [end for end in ends if end.kind == "h" and "ways" not in end.axes]
        ends = [end for end in ends if end.kind == "y"] or final
        for end in ends:
            if end.why_not:
                raise _OffTheWay(end.why_not)
        if len(ends) != 1:
            raise _OffTheWay(f"expected a graph with one output besides final states, got {len(ends)}")
        return list(_settled(ends[0], "the output").parts)

    def _written(self, node: Any, given: Sequence[_Flow]) -> Sequence[_Flow]:
        """What a node makes of the flows that it reads."""
        try:
            if given[0].why_not:
                raise _OffTheWay(given[0].why_not)
            if len(given) > 1:
                raise _OffTheWay(f"{title(node)} reads several tensors that are no constants")
            return self._passed(node, given[0])
        except _OffTheWay as error:
            kind = given[0].kind if node.op_type in MOVES else "y"  # a final state moved about is one still
            return [given[0]._replace(why_not=str(error), kind=kind)] * len(node.output)

    def _passed(self, node: Any, flow: _Flow) -> Sequence[_Flow]:
        kind = node.op_type if own(node) else ""
        if node in self.graph.recurrences:
            return self._through(node, flow)
        if kind in ("Identity", "Dropout"):  # which drops nothing in evaluation
            return [flow]
        if kind == "Cast" and not flow.parts:  # of ids
            return [flow]
        if kind in READOUTS and self.logits and node.output[0] in self.graph.outputs:
            return [flow]
        if kind == "Transpose":
            order = self.graph.settings(node).get("perm", range(len(flow.axes))[::-1])
            return [flow._replace(axes=tuple(flow.axes[place] for place in order))]
        if kind == "Squeeze" or (kind == "Gather" and flow.kind != "y"):
            return [self._without_ways(node, flow)]
        if kind == "Reshape":
            return [self._joined_ways(node, flow)]
        if kind in ("Gather", "MatMul", "Add", "Gemm", "LayerNormalization"):
            return [self._pointwise(node, flow)]
        hint = ", but for the end with logits=True" if kind in READOUTS else ""
        raise _OffTheWay(f"{title(node)} is no layer that elman has{hint}")

    def _through(self, node: Any, flow: _Flow) -> Sequence[_Flow]:
        flow = _settled(flow, title(node))
        if len(flow.axes) != 3 or flow.axes[:2] != (flow.rows or flow.axes[:2]):
            got = ", ".join(flow.axes)
            raise _OffTheWay(f"{title(node)} reads [{got}], which are not the time, the batch and the features")
        layer, (time, batch) = self.graph.recurrence(node), flow.axes[:2]
        ways = 2 if isinstance(layer, Bidirectional) else 1
        backward = layer.output_size // ways if ways == 2 or isinstance(layer, Reversed) else 0
        y = _Flow((*flow.parts, layer), (time, "ways", batch, "features"), (time, batch), "y", ways)
        final = y._replace(axes=("ways", batch, "features"), last=partial(LastPooling, backward_size=backward))
        return [y, final._replace(kind="h"), final._replace(kind="c")]

    def _without_ways(self, node: Any, flow: _Flow) -> _Flow:
        """Without the axis of the one direction: by a Squeeze, or as an entry of a final state."""
        settings, squeezed = self.graph.settings(node), node.op_type == "Squeeze"
        gone = settings.get("axes") if squeezed else [settings.get("axis", 0)]
        index = self.graph.constant(node.input[1]) if len(node.input) > 1 else None
        if squeezed and gone is None and index is not None:
            gone = index.reshape(-1).tolist()
        taken = [flow.axes[place] for place in gone or ()]
        if taken != ["ways"] or flow.ways != 1 or (not squeezed and (index is None or index.ndim)):
            raise _OffTheWay(f"{title(node)} takes another axis away than that of a single direction")
        return flow._replace(axes=tuple(axis for axis in flow.axes if axis != "ways"))

    def _joined_ways(self, node: Any, flow: _Flow) -> _Flow:
        """With the directions and their features in one axis."""
        shape = self.graph.constant(node.input[1])
        width = next((part.output_size for part in flow.parts[::-1] if isinstance(part, CellModule)), 0)
        if flow.axes[-2:] == ("ways", "features") and shape is not None and shape.shape == (len(flow.axes) - 1,):
            *kept, joined_size = shape.tolist()
            if not any(kept) and joined_size in (-1, width) and not self.graph.settings(node).get("allowzero", 0):
                return flow._replace(axes=(*flow.axes[:-2], "features"))
        raise _OffTheWay(f"{title(node)} does more than join the features of two directions")

    def _pointwise(self, node: Any, flow: _Flow) -> _Flow:
        kind, where, settings = node.op_type, f"from_onnx: {title(node)}", self.graph.settings(node)
        place = next(place for place, name in enumerate(node.input) if self.graph.constant(name) is None)
        if place != (1 if kind == "Gather" else 0) and kind != "Add":
            raise _OffTheWay(f"{title(node)} reads its data where its weights should be")
        arrays = [self.graph.weight(where, name) for name in node.input if self.graph.constant(name) is not None]
        if kind == "Gather":
            if settings.get("axis", 0) or flow.parts or arrays[0].ndim != 2:
                raise _OffTheWay(f"{title(node)} does not look up the rows of a table")
            size, features = arrays[0].shape
            table = with_weights(lambda: Embedding(size, features), {"weight": torch.from_numpy(arrays[0])})
            return flow._replace(parts=(table,), axes=(*flow.axes, "features"))
        flow = _settled(flow, title(node))
        if kind == "Add":
            below = flow.parts[-1] if flow.open else None
            if not isinstance(below, Linear) or arrays[0].shape != below.bias.shape:
                raise _OffTheWay(f"{title(node)} is not the bias of a MatMul before it")
            layer: CellModule = _linear(below.weight.detach(), arrays[0])
            return flow._replace(parts=(*flow.parts[:-1], layer), open=False)
        if kind == "LayerNormalization":
            if settings.get("axis", -1) not in (-1, len(flow.axes) - 1):
                raise _OffTheWay(f"{title(node)} normalizes more than the features")
            epsilon = float(str(np.float32(settings.get("epsilon", 1e-5))))  # the decimal that was written as float32
            layer = _layer_norm(where, epsilon, *arrays)
        else:
            if any(settings.get(name, value) != value for name, value in (("alpha", 1), ("beta", 1), ("transA", 0))):
                raise _OffTheWay(f"{title(node)} is scaled or transposed")
            check(where, "weights", arrays[0], "D O")
            weight = torch.from_numpy(arrays[0] if settings.get("transB", 0) else arrays[0].T.copy())
            bias = arrays[1] if len(arrays) > 1 else np.zeros(len(weight), arrays[0].dtype)
            check(where, "C", bias, f"O={len(weight)}")
            layer = _linear(weight, bias)
        axes = (*flow.axes[:-1], "features")
        return flow._replace(parts=(*flow.parts, layer), axes=axes, open=kind == "MatMul")


def _settled(flow: _Flow, where: str) -> _Flow:
    """A flow whose last axis is its features, behind its LastPooling if it is a final state."""
    if flow.kind == "c":
        raise _OffTheWay(f"{where} reads the memory of an LSTM, which a cell does not show")
    if not flow.axes or (flow.parts and (flow.axes[-1] != "features" or "ways" in flow.axes)):
        raise _OffTheWay(f"{where} reads [{', '.join(flow.axes)}], whose last axis is not that of the features alone")
    if flow.kind == "h" and flow.last is not None:
        return flow._replace(parts=(*flow.parts, flow.last), kind="y", last=None)
    return flow


def _linear(weight: torch.Tensor, bias: np.ndarray) -> Linear:
    outputs, inputs = weight.shape
    layer = with_weights(lambda: Linear(inputs, outputs), {"weight": weight, "bias": torch.from_numpy(bias)})
    assert isinstance(layer, Linear)
    return layer


def _layer_norm(where: str, epsilon: float, scale: np.ndarray, *bias: np.ndarray) -> CellModule:
    shift = bias[0] if bias else np.zeros_like(scale)
    check(where, "scale", scale, "D")
    check(where, "B", shift, f"D={len(scale)}")
    layer = LayerNorm(len(scale), epsilon)
    return with_weights(lambda: layer, {"weight": torch.from_numpy(scale), "bias": torch.from_numpy(shift)})
