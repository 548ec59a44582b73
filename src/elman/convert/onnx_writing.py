"""Layers of elman as an ONNX file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.cells import LSTM, CellModule
from elman.convert.onnx_nodes import Cell, node_of, written_cells
from elman.convert.parts import is_last_of, layers_of, needed
from elman.files import replacing
from elman.layers import Dropout, Embedding, LayerNorm, Linear

OPSET, FORMAT = 17, 8  # of May 2022, which onnxruntime reads from 1.12 on
KINDS = {torch.float32: 1, torch.float64: 11}  # TensorProto.FLOAT and DOUBLE
IDS, LENGTHS = 7, 6  # INT64 and INT32


def to_onnx(model: CellModule, path: str | os.PathLike[str], *, lengths: bool = False, state: bool = False) -> None:
    """Write an ONNX file that computes the same, in evaluation mode, for any number of rows and steps.

    The graph reads `x` [T, B, D], or ids [T, B] where the model begins with an `Embedding`, and writes `y` [T, B, O];
    after a `LastPooling`, [B, O].

    Args:
        model: a cell, a layer or a `Stack`.
        path: of the file, whose name ends as you like, for instance in `.onnx`.
        lengths: the graph reads `lengths` [B] int32 as well: what is behind the last step of a row does not matter.
        state: the graph reads the state before the first step, and writes the one after the last: of the recurrences,
            in order, `h0`, `h1`, ... (and `c0`, ... of an `LSTM`) and `h0_last`, ..., each [ways, B, H].
    Raises:
        TypeError: it is no model.
        ValueError: a layer or an option that ONNX has not, or weights that are neither float32 nor float64.
        OSError: the file cannot be written.
        ModuleNotFoundError: onnx is not installed (the extra `elman[onnx]`).
    """
    if not isinstance(model, CellModule):
        raise TypeError(f"to_onnx: expected a cell, a layer or a Stack of elman, got {type(model).__name__}.")
    onnx = needed("onnx", "onnx", "writing ONNX files")
    weight = next(model.parameters(), torch.zeros(0))
    if weight.dtype not in KINDS:
        raise ValueError(f"to_onnx: expected weights of torch.float32 or torch.float64, got {weight.dtype}.")
    graph = _Graph(KINDS[weight.dtype], lengths, state)
    layers = list(layers_of(model))
    for number, layer in enumerate(layers):
        where = f"to_onnx: {type(layer).__name__}"
        cells = written_cells(where, layer)
        if cells is not None:
            pooled = number + 1 < len(layers) and is_last_of(layers[number + 1], layer)
            graph.recurrence(where, layer, cells, pooled)
        elif not graph.pooled or not is_last_of(layer, layers[number - 1]):
            graph.plain(where, layer)
    proto = graph.finish(layers[0], layers[-1])
    onnx.checker.check_model(proto)
    with replacing(Path(path)) as file:
        file.write(proto.SerializeToString())


class _Graph:
    """Nodes one behind the other; `self.flow` is what the last one wrote."""

    def __init__(self, kind: int, lengths: bool, state: bool):
        self.helper, self.numpy_helper = (
            needed(f"onnx.{part}", "onnx", "writing ONNX files") for part in ("helper", "numpy_helper")
        )
        self.kind, self.lengths, self.state = kind, "lengths" if lengths else "", state
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.states: list[tuple[str, list[int | str]]] = []
        self.flow, self.pooled, self.recurrences = "x", False, 0

    def add(self, kind: str, *more: str, first: Sequence[str] = (), **settings: Any) -> None:
        """A node that reads the flow, between names of other tensors, and writes it."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, [*first, self.flow, *more], [name], name=name, **settings))
        self.flow = name

    def constant(self, array: Any) -> str:
        """The name of a tensor that does not change."""
        array = array.detach().cpu().numpy() if isinstance(array, Tensor) else np.array(array, np.int64)
        self.tensors.append(self.numpy_helper.from_array(np.ascontiguousarray(array), f"tensor_{len(self.tensors)}"))
        return self.tensors[-1].name

    def recurrence(self, where: str, layer: CellModule, cells: Sequence[Cell], pooled: bool) -> None:
        if self.pooled:
            raise ValueError(f"{where}: expected rows, but a LastPooling before it leaves one step of each.")
        number, ways, hidden = self.recurrences, len(cells), cells[0].output_size
        letters = "hc" if isinstance(cells[0], LSTM) else "h"
        state = [f"{letter}{number}" for letter in letters]
        outputs = [f"y{number}", *(f"{leaf}_last" for leaf in state)]
        node, tensors = node_of(
            layer, cells, f"recurrence{number}", [self.flow, self.lengths, *(state if self.state else [])], outputs
        )
        self.nodes.append(node)
        self.tensors += tensors
        self.states += [(leaf, [ways, "batch", hidden]) for leaf in state]
        self.recurrences, self.pooled, self.flow = number + 1, pooled, outputs[1] if pooled else outputs[0]
        if ways == 1:
            self.add("Squeeze", self.constant([0 if pooled else 1]))
        else:  # [T, ways, B, H], or [ways, B, H]
            self.add("Transpose", perm=[1, 0, 2] if pooled else [0, 2, 1, 3])
            self.add("Reshape", self.constant([0, -1] if pooled else [0, 0, -1]))

    def plain(self, where: str, layer: CellModule) -> None:
        if isinstance(layer, Embedding):
            self.add("Gather", first=[self.constant(layer.weight)])
        elif isinstance(layer, Linear):
            self.add("MatMul", self.constant(layer.weight.T))
            self.add("Add", self.constant(layer.bias))
        elif isinstance(layer, LayerNorm):
            self.add(
                "LayerNormalization", self.constant(layer.weight), self.constant(layer.bias), epsilon=layer.epsilon
            )
        elif not isinstance(layer, Dropout):  # which drops nothing in evaluation
            raise ValueError(f"{where} is no layer that ONNX has; convert what is before and behind it by itself.")

    def finish(self, first: CellModule, last: CellModule) -> Any:
        """The model: all nodes, and what goes in and out."""
        value = self.helper.make_tensor_value_info
        self.add("Identity")
        self.nodes[-1].output[0] = "y"
        if isinstance(first, Embedding):
            inputs = [value("x", IDS, ["time", "batch"])]
        else:
            inputs = [value("x", self.kind, ["time", "batch", first.input_size])]
        outputs = [value("y", self.kind, [*([] if self.pooled else ["time"]), "batch", last.output_size])]
        if self.lengths:
            inputs.append(value(self.lengths, LENGTHS, ["batch"]))
        if self.state:
            inputs += [value(name, self.kind, shape) for name, shape in self.states]
            outputs += [value(f"{name}_last", self.kind, shape) for name, shape in self.states]
        graph = self.helper.make_graph(self.nodes, "elman", inputs, outputs, self.tensors)
        opsets = [self.helper.make_opsetid("", OPSET)]
        return self.helper.make_model(graph, opset_imports=opsets, ir_version=FORMAT, producer_name="elman")
