"""ONNX graph under construction, and its values: arithmetic with them appends nodes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from onnx import helper, numpy_helper

OPERATORS: dict[Any, str] = {np.add: "Add", np.subtract: "Sub", np.multiply: "Mul", np.divide: "Div",
                             np.negative: "Neg", np.matmul: "MatMul"}  # fmt: skip


class Value(NDArrayOperatorsMixin):
    """Array that a graph computes: a name and a dtype, and a shape that is known when the graph runs."""

    def __init__(self, graph: "Graph", name: str, dtype: Any):
        self.graph, self.name, self.dtype = graph, name, np.dtype(dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """Append the node of an operator; NumPy calls it for operators between arrays, numbers and values."""
        if method != "__call__" or options or ufunc not in OPERATORS:
            return NotImplemented
        return self.graph.node(OPERATORS[ufunc], *inputs)

    def __getitem__(self, index: Any) -> "Value":
        """Return a part, by slices; other forms of indices are not supported."""
        parts = [(axis, part) for axis, part in enumerate(index if isinstance(index, tuple) else (index,))
                 if part != slice(None)]  # fmt: skip
        starts = [part.start or 0 for _, part in parts]
        ends = [np.iinfo(np.int64).max if part.stop is None else part.stop for _, part in parts]
        return self.graph.node(
            "Slice", self, *(integers(*numbers) for numbers in (starts, ends, [axis for axis, _ in parts]))
        )

    def sum(self, axis: int, keepdims: bool = False) -> "Value":
        return self.graph.node("ReduceSum", self, integers(axis), keepdims=int(keepdims))

    def mean(self, axis: int, keepdims: bool = False) -> "Value":
        return self.graph.node("ReduceMean", self, integers(axis), keepdims=int(keepdims))

    def max(self, axis: int, keepdims: bool = False) -> "Value":
        return self.graph.node("ReduceMax", self, integers(axis), keepdims=int(keepdims))

    def reshape(self, *shape: int) -> "Value":
        """Return the same numbers in another shape; 0 keeps the size of an axis, and -1 follows from the others."""
        return self.graph.node("Reshape", self, integers(*shape))

    def transpose(self, *axes: int) -> "Value":
        return self.graph.node("Transpose", self, perm=axes)

    def expand_dims(self, *axes: int) -> "Value":
        return self.graph.node("Unsqueeze", self, integers(*axes))

    def squeeze(self, axis: int) -> "Value":
        return self.graph.node("Squeeze", self, integers(axis))

    def astype(self, dtype: Any) -> "Value":
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.graph.node("Cast", self, dtype=dtype, to=to)

    def size(self, axis: int) -> "Value":
        """Return the size of an axis, [1] int64."""
        return self.graph.node("Shape", self, dtype=np.int64, start=axis, end=axis + 1)


def integers(*numbers: int) -> np.ndarray:
    """Return a list of integers as ONNX reads them, [K] int64."""
    return np.array(numbers, np.int64)


def concat(parts: Sequence[Any], axis: int) -> Value:
    """Return values and arrays, of which at least one is a value, next to each other along an axis."""
    return _graph(*parts).node("Concat", *parts, axis=axis)


def where(condition: Value, a: Any, b: Any) -> Value:
    """Return the elements of `a` where the condition holds, and of `b` elsewhere."""
    return condition.graph.node("Where", condition, a, b, like=a if isinstance(a, Value) else b)


def split(x: Value, sections: int, axis: int) -> list[Value]:
    """Return equal parts along an axis."""
    return x.graph.node_outputs("Split", [x], sections, axis=axis, num_outputs=sections) if sections > 1 else [x]


def clip(x: Value, low: float, high: float) -> Value:
    """Return the numbers, limited to a range."""
    return x.graph.node("Clip", x, low, high)


def maximum(a: Value, b: Any) -> Value:
    """Return the larger of two numbers, element by element."""
    return a.graph.node("Max", a, b)


def equal(a: Value, b: Any) -> Value:
    """Return whether numbers are equal."""
    return a.graph.node("Equal", a, b, dtype=bool)


def less(a: Value, b: Any) -> Value:
    """Return whether numbers are smaller than others."""
    return a.graph.node("Less", a, b, dtype=bool)


def tanh(x: Value) -> Value:
    """Compute the hyperbolic tangent."""
    return x.graph.node("Tanh", x)


def exp(x: Value) -> Value:
    """Compute the exponential function."""
    return x.graph.node("Exp", x)


def sigmoid(x: Value) -> Value:
    """Compute the logistic function."""
    return x.graph.node("Sigmoid", x)


def relu(x: Value) -> Value:
    """Compute x where it is positive, and 0 elsewhere."""
    return x.graph.node("Relu", x)


def softmax(x: Value, axis: int = -1) -> Value:
    """Compute the softmax over an axis."""
    return x.graph.node("Softmax", x, axis=axis)


ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "tanh": tanh, "sigmoid": sigmoid, "relu": relu, "identity": lambda x: x,
}  # fmt: skip


def _graph(*values: Any) -> "Graph":
    return next(value.graph for value in values if isinstance(value, Value))


class Graph:
    """ONNX graph under construction: its nodes, its inputs and its constants."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._small: dict[Any, Value] = {}  # constants that several nodes read
        self._count = 0

    def input(self, name: str, dtype: Any, shape: Sequence[int | str]) -> Value:
        """Add an input of the graph; the sizes of its axes are numbers, or names for any size."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return Value(self, name, dtype)

    def constant(self, array: Any) -> Value:
        """Return a constant array."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))  # ascontiguousarray makes a number an array [1]
        key = (array.dtype, array.shape, array.tobytes()) if array.size < 16 else None
        if key in self._small:
            return self._small[key]
        value = Value(self, f"constant_{len(self._constants)}", array.dtype)
        self._constants.append(numpy_helper.from_array(array, value.name))
        if key is not None:
            self._small[key] = value
        return value

    def node(self, operator: str, *inputs: Any, dtype: Any = None, like: Value | None = None, **settings: Any) -> Value:
        """Append a node with one output, and return it.

        Args:
            inputs: values, arrays, numbers, or None for an input that is left out.
            dtype: dtype of the output; None for that of `like`.
            like: value whose dtype numbers get; None for the first input that is a value.
        """
        return self.node_outputs(operator, inputs, 1, dtype, like, **settings)[0]

    def node_outputs(
        self, operator: str, inputs: Sequence[Any], outputs: int, dtype: Any = None, like: Value | None = None,
        **settings: Any,
    ) -> list[Value]:  # fmt: skip
        """Append a node, and return its outputs; arguments as in `node`."""
        like = like or next((value for value in inputs if isinstance(value, Value)), None)
        names = [self._name(value, like) for value in inputs]
        while names and not names[-1]:
            names.pop()
        title, self._count = f"{operator}_{self._count}", self._count + 1
        made = [title] if outputs == 1 else [f"{title}_{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(operator, names, made, name=title, **settings))
        kind = dtype if dtype is not None else like.dtype if like is not None else np.float32
        return [Value(self, name, kind) for name in made]

    def _name(self, value: Any, like: Value | None) -> str:
        if value is None:
            return ""
        if isinstance(value, Value):
            return value.name
        if isinstance(value, int | float | np.number) and like is not None:
            value = np.array(value, like.dtype)
        return self.constant(value).name

    def local(self, name: str, dtype: Any) -> Value:
        """Return a new value: an input of a graph inside a node."""
        self._count += 1
        return Value(self, f"{name}_{self._count - 1}", dtype)

    @contextmanager
    def body(self) -> Iterator[list[Any]]:
        """Collect the nodes that are made inside, for a graph inside a node."""
        outer, self._nodes = self._nodes, []
        try:
            yield self._nodes
        finally:
            self._nodes = outer

    def model(self, outputs: Sequence[tuple[str, Value, Sequence[int | str]]], opset: int) -> Any:
        """Return the `onnx.ModelProto` with all nodes on which the outputs depend.

        Args:
            outputs: name, value, and shape of each output.
        """
        infos = []
        for name, value, shape in outputs:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            infos.append(helper.make_tensor_value_info(name, kind, list(shape)))
            self._nodes.append(helper.make_node("Identity", [value.name], [name], name=f"output {name}"))
        needed = self.ancestors([info.name for info in infos])
        nodes = [node for node in self._nodes if needed.intersection(node.output)]
        first = [info for info in self.inputs if not info.name.startswith("state")]  # kept even if no output reads it
        inputs = [*first, *(info for info in self.inputs if info not in first and info.name in needed)]
        graph = helper.make_graph(
            nodes, "elman", inputs, infos,
            [constant for constant in self._constants if constant.name in needed],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, producer_name="elman",
                                      ir_version=helper.find_min_ir_version_for(opsets))  # fmt: skip

    def ancestors(self, names: Sequence[str]) -> set[str]:
        """Return the names of the values on which some values depend, and their own."""
        needed = set(names)
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(_reads(node))
        return needed


def _reads(node: Any) -> Iterator[str]:
    """Yield the inputs of a node, and of the nodes of graphs inside it."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)
        yield from (output.name for output in attribute.g.output)  # one that is a value of the outer graph
