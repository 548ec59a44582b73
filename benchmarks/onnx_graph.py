"""Recurrences in onnxruntime: graphs of one node, forward pass only, with preallocated outputs."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from models import Model
from onnx import TensorProto, helper, numpy_helper
from problems import LEAVES, Batch, Problem

from elman.convert.onnx_operators import ORDER


def graph(problem: Problem, steps: int, rows: int, ragged: bool = False) -> bytes:
    """Return the graph from x [T, B, I] and the state [1, B, H] to y [T, 1, B, H] and the state."""
    kind = problem.cell.upper()
    weights = _weights(problem, kind)
    state = ["h", "c"][: LEAVES[problem.cell]]
    y_and_state = ["y", *(f"{name}_last" for name in state)]
    inputs = [_value("x", steps, rows, problem.inputs), *(_value(name, 1, rows, problem.hidden) for name in state)]
    outputs = [_value("y", steps, 1, rows, problem.hidden),
               *(_value(name, 1, rows, problem.hidden) for name in y_and_state[1:])]  # fmt: skip
    if ragged:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [rows]))
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    read = ["x", *weights, "lengths" if ragged else "", *state]
    node = helper.make_node(kind, read, y_and_state, hidden_size=problem.hidden, **options)
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    model = helper.make_model(
        helper.make_graph([node], problem.cell, inputs, outputs, initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _weights(problem: Problem, kind: str) -> dict[str, np.ndarray]:
    """Return W, R and both biases, with a first axis of one direction and the gates in the order of ONNX."""
    weight_ih, weight_hh, bias, *bias_hn = problem.weights()
    bias_hh = np.zeros_like(bias)
    if bias_hn:
        bias_hh[-problem.hidden :] = bias_hn[0]

    def ordered(array: np.ndarray) -> np.ndarray:
        gates = np.split(array, len(ORDER[kind]))
        return np.concatenate([gates[number] for number in ORDER[kind]])

    biases = np.concatenate([ordered(bias), ordered(bias_hh)])
    return {"W": ordered(weight_ih)[None], "R": ordered(weight_hh)[None], "B": biases[None]}


def _value(name: str, *shape: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Onnx(Model):
    """Implementation with one session per batch: weights are packed once, and lengths skip the padding."""

    name = "onnxruntime"

    def __init__(self, problem: Problem, batches: list[Batch], threads: int):
        super().__init__(problem, batches)
        self.bound = [self.bind(batch, threads) for batch in batches]

    def bind(self, batch: Batch, threads: int) -> tuple[Any, Any]:
        steps, rows, ragged = int(batch.lengths.max()), len(batch.lengths), bool(np.ptp(batch.lengths))
        run = session(graph(self.problem, steps, rows, ragged), threads)
        x = np.zeros((steps, rows, self.problem.inputs), np.float32)
        for row, values in enumerate(batch.x):
            x[: len(values), row] = values
        inputs = {"x": x, **dict(zip(["h", "c"], (leaf[None] for leaf in batch.state), strict=False))}
        if ragged:
            inputs["lengths"] = batch.lengths.astype(np.int32)
        binding = run.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for output in run.get_outputs():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(np.empty(output.shape, np.float32))
            binding.bind_ortvalue_output(output.name, value)
        return run, binding

    def forward(self) -> list[Any]:
        for run, binding in self.bound:
            run.run_with_iobinding(binding)
        return [binding.get_outputs() for _, binding in self.bound]

    def read(self, batch: Batch, name: str, array: Any) -> np.ndarray:
        array = array.numpy()
        if name == "y":
            return np.concatenate([array[:length, 0, row] for row, length in enumerate(batch.lengths)])
        return array[0]
