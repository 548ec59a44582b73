"""Export of networks to ONNX files, which are compared with the network before they are written."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

import elman
from elman.convert.onnx_writing import activations, containers, pictures, recurrent  # noqa: F401  # they add their writers
from elman.convert.onnx_writing.checking import compare
from elman.convert.onnx_writing.task_graphs import graph_of
from elman.files import replacing
from elman.network import Layer, make_layer, read_model

OPSET = 18  # of December 2022; onnxruntime supports it from 1.14 on
LOG = logging.getLogger("elman")


def to_onnx(model: Any, path: str | os.PathLike[str], *, steps: bool = False, state: bool = False,
            opset: int = OPSET) -> None:  # fmt: skip
    """Write a model in evaluation mode as an ONNX file, for any number of rows and steps.

    The graph of whole rows reads a padded batch `x` [B, T, D], or ids [B, T], and its `lengths` [B] int64. It computes
    `y` [B, T, O]; the steps after the end of a row have no meaning, and no influence on others. The graph of a step
    reads `x` [B, D], or ids [B], and the state, and computes `y` [B, O] and the state after the step.

    A leaf of the state is an input such as `state.0.h` and an output such as `next_state.0.h`. The entry `elman` in the
    file's metadata is a JSON text with their names, shapes and initial values, and with the metadata of the model file
    (task, labels, units, scales). If onnxruntime is installed, the file is run and compared with the model first.

    Args:
        model: a run folder, a model file, a trained model, a layer of `elman.network`, or a cell or layer in PyTorch,
            of float32.
        path: path of the file.
        steps: whether to write the graph of a single step.
        state: whether the graph of whole rows reads the state before the first step, and computes the last one.
        opset: version of ONNX's operators, 18 or more.
    Raises:
        TypeError: the model is of another kind.
        ValueError: a layer is not supported; with steps, the model reads whole rows; the opset is unknown; or
            onnxruntime computes other numbers than the model, by more than 1e-5. No file is written then.
        OSError: the file cannot be written.
        ModuleNotFoundError: onnx is not installed.
    Example:
        >>> from elman import LSTM, Linear, Stack
        >>> to_onnx(Stack(LSTM(3, 8), Linear(8, 2)), "model.onnx", steps=True)  # doctest: +SKIP
    """
    newest = onnx.defs.onnx_opset_version()
    if not OPSET <= opset <= newest:
        raise ValueError(f"to_onnx: expected an opset from {OPSET} to {newest}, got {opset}.")
    network, metadata = _network(model)
    graph = graph_of(network, steps, state)
    proto = graph.graph.model(graph.outputs, opset)
    about = {"version": elman.__version__, "graph": "step" if steps else "rows", **graph.description, "model": metadata}
    helper.set_model_props(proto, {"elman": json.dumps(about)})
    onnx.checker.check_model(proto)
    data = proto.SerializeToString()
    difference = compare(graph, data)
    with replacing(Path(path)) as file:
        file.write(data)
    for title, values in (("reads", proto.graph.input), ("computes", proto.graph.output)):
        LOG.info("%s %s", title, ", ".join(map(_described, values)))
    for part in graph.unsupported:
        LOG.warning("%s: %s", path, part)
    if difference is None:
        LOG.warning("%s: not compared with the model; pip install onnxruntime, and export it again", path)
    else:
        LOG.info("onnxruntime computes the same as the model: largest difference %.1g", difference)


def _described(value: Any) -> str:
    """Return name, dtype and shape of an input or output of a graph."""
    tensor = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return f"{value.name} {dtype} [{', '.join(str(axis.dim_param or axis.dim_value) for axis in tensor.shape.dim)}]"


def _network(model: Any) -> tuple[Layer, Mapping[str, Any]]:
    """Return the network of a model, and the metadata of its file.

    Raises:
        TypeError: the model is neither a path nor a network.
        ValueError: the model is no network, or a layer has no layer type.
    """
    if isinstance(model, str | os.PathLike):
        file = read_model(Path(model))
        if "model" in file.metadata:
            raise ValueError(f"to_onnx: {file.path}: expected a network, got a classical model, "
                             f"{file.metadata['model']}, which has no ONNX file.")  # fmt: skip
        return file.network(), {name: part for name, part in file.metadata.items() if name != "spec"}
    if hasattr(model, "net_"):
        return _network(model.net_)[0], {"task": model.task, **model.metadata()}
    if isinstance(model, Layer):
        return model, {}
    if not hasattr(model, "spec") or not hasattr(model, "state_dict"):
        raise TypeError("to_onnx: expected the path of a model, or a cell, a layer or a Stack of elman, got "
                        f"{type(model).__name__}; use torch.onnx.export, or convert its layers with "
                        "elman.convert.from_torch first.")  # fmt: skip
    try:
        spec = model.spec()
    except ValueError as error:
        raise ValueError(f"to_onnx: {error}") from None
    return make_layer(spec, {name: tensor.numpy(force=True) for name, tensor in model.state_dict().items()}), {}
