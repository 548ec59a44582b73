"""Conversion of layers of elman to ONNX files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.cells import LSTM, CellModule
from elman.convert.layers import check_model, layers_of, optional_module, pools_final_state
from elman.convert.onnx_nodes import Cell, node_of, written_cells
from elman.files import replacing
from elman.layers import Dropout, Embedding, LayerNorm, Linear

OPSET, FORMAT = 17, 8  # versions of May 2022; onnxruntime supports them from 1.12 on
KINDS = {torch.float32: 1, torch.float64: 11}  # TensorProto.FLOAT and DOUBLE
IDS, LENGTHS = 7, 6  # INT64 and INT32


def to_onnx(model: CellModule, path: str | os.PathLike[str], *, lengths: bool = False, state: bool = False) -> None:
    """Write a model in evaluation mode as an ONNX file, for any number of rows and steps.

    The input is `x` [T, B, D], or ids [T, B] if the model begins with an `Embedding`. The output is `y` [T, B, O], or
    [B, O] after a `LastPooling`.

    Args:
        model: a cell, a layer or a `Stack`.
        path: path of the file.
        lengths: whether the graph has an input `lengths` [B] int32; steps after the end of a row are ignored then.
        state: whether the graph has the initial states as inputs and the final states as outputs: for the recurrent
            layers in order `h0`, `h1`, ... (and `c0`, ... of an `LSTM`) and `h0_last`, ..., each [directions, B, H].
    Raises:
        TypeError: the model is not a cell, layer or stack of elman.
        ValueError: ONNX does not support a layer or an option, or weights are neither float32 nor float64.
        OSError: the file cannot be written.
        ModuleNotFoundError: onnx is not installed.
    """
    check_model("to_onnx", model, "use torch.onnx.export, or convert its layers with elman.convert.from_torch first")
    onnx = optional_module("onnx", "writing ONNX files")
    weight = next(model.parameters(), torch.zeros(0))
    if weight.dtype not in KINDS:
        raise ValueError(f"to_onnx: expected weights of torch.float32 or torch.float64, got {weight.dtype}.")
    graph = _Graph(KINDS[weight.dtype], lengths, state)
    layers = list(layers_of(model))
    for number, layer in enumerate(layers):
        where = f"to_onnx: {type(layer).__name__}"
        cells = written_cells(where, layer)
        if cells is not None:
            pooled = number + 1 < len(layers) and pools_final_state(layers[number + 1], layer)
            graph.recurrence(where, layer, cells, pooled)
        elif not graph.pooled or not pools_final_state(layer, layers[number - 1]):
            graph.plain(where, layer)
    proto = graph.finish(layers[0], layers[-1])
    onnx.checker.check_model(proto)
    with replacing(Path(path)) as file:
        file.write(proto.SerializeToString())


class _Graph:
    """Chain of nodes; `self.last` is the name of the last output."""

    def __init__(self, kind: int, lengths: bool, state: bool):
        self.helper, self.numpy_helper = (
            optional_module(f"onnx.{part}", "writing ONNX files") for part in ("helper", "numpy_helper")
        )
        self.kind, self.lengths, self.state = kind, "lengths" if lengths else "", state
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.states: list[tuple[str, list[int | str]]] = []
        self.last, self.pooled, self.recurrences = "x", False, 0

    def add(self, kind: str, *more: str, first: Sequence[str] = (), **settings: Any) -> None:
        """Append a node that reads `first`, the last output and `more`; its own output becomes the last one."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, [*first, self.last, *more], [name], name=name, **settings))
        self.last = name

    def constant(self, array: Any) -> str:
        """Add a constant tensor and return its name."""
        array = array.numpy(force=True) if isinstance(array, Tensor) else np.array(array, np.int64)
        self.tensors.append(self.numpy_helper.from_array(np.ascontiguousarray(array), f"tensor_{len(self.tensors)}"))
        return self.tensors[-1].name

    def recurrence(self, where: str, layer: CellModule, cells: Sequence[Cell], pooled: bool) -> None:
        if self.pooled:
            raise ValueError(f"{where}: expected sequences, got single steps from a LastPooling before it.")
        number, directions, hidden = self.recurrences, len(cells), cells[0].output_size
        letters = "hc" if isinstance(cells[0], LSTM) else "h"
        state = [f"{letter}{number}" for letter in letters]
        outputs = [f"y{number}", *(f"{leaf}_last" for leaf in state)]
        node, tensors = node_of(
            layer, cells, f"recurrence{number}", [self.last, self.lengths, *(state if self.state else [])], outputs
        )
        self.nodes.append(node)
        self.tensors += tensors
        self.states += [(leaf, [directions, "batch", hidden]) for leaf in state]
        self.recurrences, self.pooled, self.last = number + 1, pooled, outputs[1] if pooled else outputs[0]
        if directions == 1:
            self.add("Squeeze", self.constant([0 if pooled else 1]))
        else:  # [T, directions, B, H], or [directions, B, H]
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
        elif not isinstance(layer, Dropout):  # evaluation mode drops nothing
            raise ValueError(f"{where} is not supported by ONNX; convert the layers before and after it separately.")

    def finish(self, first: CellModule, last: CellModule) -> Any:
        """Return the model: all nodes, inputs and outputs."""
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
