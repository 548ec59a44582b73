"""Conversion of ONNX files to elman, by following the data and the meaning of its axes through the graph."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from elman.cells import CellModule
from elman.cells.torch_weights import with_weights
from elman.convert.layers import LayerLike, optional_module, stacked
from elman.convert.onnx_graph import Graph, is_standard, title
from elman.layers import Bidirectional, Embedding, LastPooling, LayerNorm, Linear, Reversed
from elman.shapes import check

MOVES = ("Concat", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
READOUTS = ("Softmax", "LogSoftmax", "Sigmoid")  # nodes that `logits` removes


def from_onnx(source: Any, node: str | None = None, *, logits: bool = False) -> CellModule:
    """Return the layers of an ONNX graph with their weights, as a cell or a `Stack`, in evaluation mode.

    Supported are `RNN`, `LSTM` and `GRU`, `MatMul` and `Add`, `Gemm`, `Gather` (an `Embedding`) and
    `LayerNormalization`, in a chain from an input to an output. Nodes between them may permute axes, but not mix them.
    A layer that reads a final state gets a `LastPooling` before it. Initial states are zero, or inputs of the graph.

    Args:
        source: path of a file, or an `onnx.ModelProto`.
        node: name of a recurrent node, or of one of its outputs, to convert only this node; None for the whole graph.
        logits: whether to remove the softmax or sigmoid at the end, which elman applies in the loss instead.
    Raises:
        TypeError: the source is neither a path nor an `onnx.ModelProto`.
        ValueError: a node or a setting is not supported; the file has another format or is truncated.
        FileNotFoundError: the file does not exist.
        ModuleNotFoundError: onnx is not installed.
    """
    graph = Graph(_loaded(source).graph)
    names = ", ".join(repr(one.name or one.output[0]) for one in graph.recurrences)
    if node is not None:
        found = next((one for one in graph.recurrences if node == one.name or node in one.output), None)
        if found is None:
            raise ValueError(f"from_onnx: node={node!r}: expected a recurrent node, one of {names or 'none'}.")
        return stacked("from_onnx", [graph.recurrence(found)]).eval()
    try:
        return stacked("from_onnx", _Path(graph, logits).parts()).eval()
    except _Unsupported as error:
        hint = f"; node= converts a single recurrent node: {names}." if names else "."
        raise ValueError(f"from_onnx: {error}{hint}") from None


def _loaded(source: Any) -> Any:
    onnx = optional_module("onnx", "reading ONNX files")
    if isinstance(source, onnx.ModelProto):
        return source
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"from_onnx: expected a path or an onnx.ModelProto, got {type(source).__name__}.")
    path, protobuf = Path(source), optional_module("google.protobuf.message", "reading ONNX files")
    if not path.is_file():
        raise FileNotFoundError(f"from_onnx: {path}: no such file; name an ONNX file.")
    try:
        model = onnx.load(path, format="protobuf")
    except (protobuf.DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        raise ValueError(f"from_onnx: {path}: not an ONNX file, or truncated: {error}.") from None
    if not model.graph.node:
        raise ValueError(f"from_onnx: {path}: not an ONNX file, or a graph without nodes.")
    return model


class _Unsupported(Exception):
    """Node between input and output that elman does not support."""


class _Tensor(NamedTuple):
    """Tensor that is computed from the input."""

    parts: tuple[LayerLike, ...]  # the layers applied so far
    axes: tuple[str, ...]  # axes of the input; after a layer two of them, `directions` and `features`
    rows: tuple[str, ...] = ()  # the axes that a recurrent node reads as time and batch
    kind: str = "y"  # output of a recurrent node, or a final state, h or c
    directions: int = 1
    last: LayerLike | None = None  # the LastPooling that gives this final state
    open: bool = False  # whether an Add may still be the bias of a Linear
    error: str = ""  # why this tensor is not supported, if it is not


class _Path:
    """Path from the input to the output of a graph."""

    def __init__(self, graph: Graph, logits: bool):
        self.graph, self.logits = graph, logits

    def parts(self) -> list[LayerLike]:
        """Return the layers on the path."""
        tensors = {}
        for name, value in self.graph.inputs.items():
            rank = len(value.type.tensor_type.shape.dim)
            tensors[name] = _Tensor((), tuple(f"axis {axis} of {name}" for axis in range(rank)))
        for node in self.graph.nodes:
            read = list(node.input[:1] if node in self.graph.recurrences else node.input)  # without states and lengths
            given = [tensors[name] for name in read if name in tensors]
            if given and node.op_type != "Shape":
                tensors |= dict(zip(node.output, self._outputs(node, given), strict=False))
        ends = [tensors[name] for name in self.graph.outputs if name in tensors]
        final = [end for end in ends if end.kind == "h" and "directions" not in end.axes]
        ends = [end for end in ends if end.kind == "y"] or final
        for end in ends:
            if end.error:
                raise _Unsupported(end.error)
        if len(ends) != 1:
            raise _Unsupported(f"expected a graph with one output besides final states, got {len(ends)}")
        return list(_as_features(ends[0], "the output").parts)

    def _outputs(self, node: Any, given: Sequence[_Tensor]) -> Sequence[_Tensor]:
        """Return the outputs of a node."""
        try:
            if given[0].error:
                raise _Unsupported(given[0].error)
            if len(given) > 1:
                raise _Unsupported(f"{title(node)} reads several tensors that are not constants")
            try:
                return self._output(node, given[0])
            except IndexError:  # the format does not guarantee them
                raise _Unsupported(f"{title(node)} lacks an input, or names an axis that does not exist") from None
        except _Unsupported as error:
            kind = given[0].kind if node.op_type in MOVES else "y"  # a permuted final state is still a final state
            return [given[0]._replace(error=str(error), kind=kind)] * len(node.output)

    def _output(self, node: Any, tensor: _Tensor) -> Sequence[_Tensor]:
        kind = node.op_type if is_standard(node) else ""
        if node in self.graph.recurrences:
            return self._recurrence(node, tensor)
        if kind in ("Identity", "Dropout"):  # evaluation mode drops nothing
            return [tensor]
        if kind == "Cast" and not tensor.parts:  # a cast of ids
            return [tensor]
        if kind in READOUTS and self.logits and node.output[0] in self.graph.outputs:
            return [tensor]
        if kind == "Transpose":
            order = self.graph.settings(node).get("perm", range(len(tensor.axes))[::-1])
            return [tensor._replace(axes=tuple(tensor.axes[place] for place in order))]
        if kind == "Squeeze" or (kind == "Gather" and tensor.kind != "y"):
            return [self._without_direction_axis(node, tensor)]
        if kind == "Reshape":
            return [self._joined_directions(node, tensor)]
        if kind in ("Gather", "MatMul", "Add", "Gemm", "LayerNormalization"):
            return [self._pointwise(node, tensor)]
        hint = ", except at the end with logits=True" if kind in READOUTS else ""
        raise _Unsupported(f"{title(node)} is not supported{hint}")

    def _recurrence(self, node: Any, tensor: _Tensor) -> Sequence[_Tensor]:
        tensor = _as_features(tensor, title(node))
        if len(tensor.axes) != 3 or tensor.axes[:2] != (tensor.rows or tensor.axes[:2]):
            got = ", ".join(tensor.axes)
            raise _Unsupported(f"{title(node)} reads [{got}], expected time, batch and features")
        layer, (time, batch) = self.graph.recurrence(node), tensor.axes[:2]
        directions = 2 if isinstance(layer, Bidirectional) else 1
        backward = layer.output_size // directions if directions == 2 or isinstance(layer, Reversed) else 0
        y = _Tensor((*tensor.parts, layer), (time, "directions", batch, "features"), (time, batch), "y", directions)
        final = y._replace(axes=("directions", batch, "features"), last=partial(LastPooling, backward_size=backward))
        return [y, final._replace(kind="h"), final._replace(kind="c")]

    def _without_direction_axis(self, node: Any, tensor: _Tensor) -> _Tensor:
        """Remove the axis of a single direction: a Squeeze, or a Gather from a final state."""
        settings, squeezed = self.graph.settings(node), node.op_type == "Squeeze"
        removed = settings.get("axes") if squeezed else [settings.get("axis", 0)]
        index = self.graph.constant(node.input[1]) if len(node.input) > 1 else None
        if squeezed and removed is None and index is not None:
            removed = index.reshape(-1).tolist()
        taken = [tensor.axes[place] for place in removed or ()]
        if taken != ["directions"] or tensor.directions != 1 or (not squeezed and (index is None or index.ndim)):
            raise _Unsupported(f"{title(node)} removes another axis than that of a single direction")
        return tensor._replace(axes=tuple(axis for axis in tensor.axes if axis != "directions"))

    def _joined_directions(self, node: Any, tensor: _Tensor) -> _Tensor:
        """Merge the axes of directions and features."""
        shape = self.graph.constant(node.input[1])
        width = next((part.output_size for part in tensor.parts[::-1] if isinstance(part, CellModule)), 0)
        if (
            tensor.axes[-2:] == ("directions", "features")
            and shape is not None
            and shape.shape == (len(tensor.axes) - 1,)
        ):
            *kept, joined_size = shape.tolist()
            if not any(kept) and joined_size in (-1, width) and not self.graph.settings(node).get("allowzero", 0):
                return tensor._replace(axes=(*tensor.axes[:-2], "features"))
        raise _Unsupported(f"{title(node)} does more than merge the features of two directions")

    def _pointwise(self, node: Any, tensor: _Tensor) -> _Tensor:
        kind, where, settings = node.op_type, f"from_onnx: {title(node)}", self.graph.settings(node)
        place = next(place for place, name in enumerate(node.input) if self.graph.constant(name) is None)
        if place != (1 if kind == "Gather" else 0) and kind != "Add":
            raise _Unsupported(f"{title(node)} reads its data where its weights should be")
        arrays = [self.graph.weight(where, name) for name in node.input if self.graph.constant(name) is not None]
        if not arrays:
            raise _Unsupported(f"{title(node)} lacks its weights")
        if kind == "Gather":
            if settings.get("axis", 0) or tensor.parts or arrays[0].ndim != 2:
                raise _Unsupported(f"{title(node)} does not look up the rows of a table")
            size, features = arrays[0].shape
            table = with_weights(lambda: Embedding(size, features), {"weight": torch.from_numpy(arrays[0])})
            return tensor._replace(parts=(table,), axes=(*tensor.axes, "features"))
        tensor = _as_features(tensor, title(node))
        if kind == "Add":
            below = tensor.parts[-1] if tensor.open else None
            if not isinstance(below, Linear) or arrays[0].shape != below.bias.shape:
                raise _Unsupported(f"{title(node)} is not the bias of a MatMul before it")
            layer: CellModule = _linear(below.weight.detach(), arrays[0])
            return tensor._replace(parts=(*tensor.parts[:-1], layer), open=False)
        if kind == "LayerNormalization":
            if settings.get("axis", -1) not in (-1, len(tensor.axes) - 1):
                raise _Unsupported(f"{title(node)} normalises other axes than the features")
            epsilon = float(str(np.float32(settings.get("epsilon", 1e-5))))  # the decimal that was written as float32
            layer = _layer_norm(where, epsilon, *arrays)
        else:
            if any(settings.get(name, value) != value for name, value in (("alpha", 1), ("beta", 1), ("transA", 0))):
                raise _Unsupported(f"{title(node)} is scaled or transposed")
            check(where, "weights", arrays[0], "D O")
            weight = torch.from_numpy(arrays[0] if settings.get("transB", 0) else arrays[0].T.copy())
            bias = arrays[1] if len(arrays) > 1 else np.zeros(len(weight), arrays[0].dtype)
            check(where, "C", bias, f"O={len(weight)}")
            layer = _linear(weight, bias)
        axes = (*tensor.axes[:-1], "features")
        return tensor._replace(parts=(*tensor.parts, layer), axes=axes, open=kind == "MatMul")


def _as_features(tensor: _Tensor, where: str) -> _Tensor:
    """Return the tensor with its features as last axis, after a LastPooling if it is a final state."""
    if tensor.kind == "c":
        raise _Unsupported(f"{where} reads the cell state of an LSTM, which is not an output in elman")
    if not tensor.axes or (tensor.parts and (tensor.axes[-1] != "features" or "directions" in tensor.axes)):
        raise _Unsupported(f"{where} reads [{', '.join(tensor.axes)}], whose last axis is not the features")
    if tensor.kind == "h" and tensor.last is not None:
        return tensor._replace(parts=(*tensor.parts, tensor.last), kind="y", last=None)
    return tensor


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
