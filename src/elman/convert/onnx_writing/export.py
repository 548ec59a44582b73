"""Export of networks to ONNX files, which are compared with the network before they are written."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

import elman
from elman.cell import Cell
from elman.classical.model import ClassicalModel
from elman.convert.onnx_writing import activations, containers, pictures, recurrent  # noqa: F401  # they add their writers
from elman.convert.onnx_writing.checking import compare
from elman.convert.onnx_writing.preprocessing import Facts, preprocessing_of
from elman.convert.onnx_writing.task_graphs import graph_of, with_trunk
from elman.files import replacing
from elman.network import Layer, NoSpec, make_layer
from elman.progress import ProgressLine
from elman.runtime import read_trained, trained_model
from elman.runtime.captioner import TrainedCaptioner
from elman.runtime.model import TrainedModel

OPSET = 18  # of December 2022; onnxruntime supports it from 1.14 on
OWN_CELL = "build it from layers of elman, or export its step with torch.onnx.export"
LOG = logging.getLogger("elman")


def to_onnx(model: Any, path: str | os.PathLike[str], *, steps: bool = False, state: bool = False,
            opset: int = OPSET, verbose: bool | int | None = None) -> None:  # fmt: skip
    """Write a model in evaluation mode as an ONNX file, for any number of rows and steps.

    The graph of whole rows reads a padded batch `x` [B, T, D], or ids [B, T], and its `lengths` [B] int64. It computes
    `y` [B, T, O]; the steps after the end of a row have no meaning, and no influence on others. The graph of a step
    reads `x` [B, D], or ids [B], and the state, and computes `y` [B, O] and the state after the step.

    A leaf of the state is an input such as `state.0.h` and an output such as `next_state.0.h`. The entry `elman` in the
    file's metadata is a JSON text with their names, shapes and initial values, and with the task, the labels and the
    preprocessing of a trained model. If onnxruntime is installed, the file is run and compared with the model first.

    Args:
        model: a run folder, a model file, a trained model, a layer of `elman.network`, or a cell or layer in PyTorch,
            of float32.
        path: path of the file.
        steps: whether to write the graph of a single step.
        state: whether the graph of whole rows reads the state before the first step, and computes the last one. A step
            always does.
        opset: version of ONNX's operators, 18 or more.
        verbose: whether to show the progress, as in `elman.progress.ProgressLine`.
    Raises:
        TypeError: the model or the opset is of another kind.
        ValueError: a layer is not supported; the model is not trained; with steps, the model reads whole rows; steps
            and state are both given; the opset is unknown; or onnxruntime computes other numbers than the model, by
            more than 1e-5. No file is written then.
        OSError: the file cannot be written.
        ModuleNotFoundError: onnx is not installed.
    Example:
        >>> from elman import LSTM, Linear, Stack
        >>> to_onnx(Stack(LSTM(3, 8), Linear(8, 2)), "model.onnx", steps=True)  # doctest: +SKIP
    """
    path = Path(path)
    _check_arguments(path, steps, state, opset)
    with ProgressLine(verbose) as line:
        line(lambda: f"{path}: reading the model", event=True)
        network, facts = _network_and_facts(model)
        line(lambda: f"{path}: writing the graph", event=True)
        graph = graph_of(network, steps, state)
        proto = graph.graph.model(graph.outputs, opset)
        about = {"version": elman.__version__, "graph": "step" if steps else "rows", **graph.description, **facts}
        helper.set_model_props(proto, {"elman": json.dumps(about)})
        onnx.checker.check_model(proto)
        data = proto.SerializeToString()
        line(lambda: f"{path}: comparing onnxruntime with the model", event=True)
        difference = compare(graph, data)
        line.clear()
    with replacing(path) as file:
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


def _check_arguments(path: Path, steps: bool, state: bool, opset: Any) -> None:
    """Raise unless the arguments are valid and the folder of the file exists, because an export can take long.

    Raises:
        FileNotFoundError: the folder does not exist.
        TypeError, ValueError: an argument is of another type, or out of range.
    """
    newest = onnx.defs.onnx_opset_version()
    if not isinstance(opset, int | np.integer) or isinstance(opset, bool):
        raise TypeError(f"to_onnx: expected an opset that is a whole number, got {type(opset).__name__} {opset!r}.")
    if not OPSET <= opset <= newest:
        raise ValueError(f"to_onnx: expected an opset from {OPSET} to {newest}, got {opset}.")
    if steps and state:
        raise ValueError("to_onnx: state is an option of whole rows; a step always reads and computes the state. Leave "
                         "it out.")  # fmt: skip
    if not path.parent.exists():
        raise FileNotFoundError(f"{path}: the folder {path.parent} does not exist; create it, or choose another path.")


def _network_and_facts(model: Any) -> tuple[Layer, Facts]:
    """Return the network of a model, and the task and preprocessing if it is the model of a task.

    Raises:
        TypeError: the model is neither a path nor a network.
        ValueError: the model is no network or is not trained, or a layer has no layer type.
    """
    if isinstance(model, str | os.PathLike):
        model = _read(Path(model))
    if not isinstance(model, TrainedModel):
        return _network(model), {}
    model.check_fitted()
    network = _network(model.net_)
    facts = preprocessing_of(model, network)
    if isinstance(model, TrainedCaptioner) and model.trunk_ is not None:
        network = with_trunk(network, model.trunk_.network)
    return network, facts


def _read(path: Path) -> Any:
    """Return the trained model of a task, or the network, in a file.

    Raises:
        ValueError: the file has a classical model, or a layer without a layer type.
    """
    file = read_trained(path)
    if "model" in file.metadata:
        raise ValueError(f"to_onnx: {file.path}: {_no_network(file.metadata['model'])}")
    if "no_spec" in file.metadata:
        raise ValueError(f"to_onnx: {file.path}: {file.value('no_spec', str)}; {OWN_CELL}.")
    return trained_model(file) if "task" in file.metadata else file.network()


def _network(model: Any) -> Layer:
    """Return a cell or layer as a network without PyTorch.

    Raises:
        TypeError: the model is no cell.
        ValueError: it is a classical model, or a layer has no layer type.
    """
    if isinstance(model, Layer):
        return model
    if isinstance(model, ClassicalModel):
        raise ValueError(f"to_onnx: {_no_network(type(model).__name__)}")
    if hasattr(model, "spec") and hasattr(model, "state_dict") and not isinstance(model, type):
        try:
            spec = model.spec()
        except NoSpec as error:
            raise ValueError(f"to_onnx: {error}; {OWN_CELL}.") from None
        return make_layer(spec, {name: tensor.numpy(force=True) for name, tensor in model.state_dict().items()})
    if isinstance(model, Cell):
        raise ValueError(f"to_onnx: {type(model).__name__} has no layer type in elman.network; {OWN_CELL}.")
    raise TypeError("to_onnx: expected the path of a model, or a cell, a layer or a Stack of elman, got "
                    f"{type(model).__name__}; use torch.onnx.export, or convert its layers with "
                    "elman.convert.from_torch first.")  # fmt: skip


def _no_network(model: str) -> str:
    return (f"expected a network, got a classical model, {model}, which has no ONNX file; elman.runtime runs its file, "
            "in NumPy.")  # fmt: skip
