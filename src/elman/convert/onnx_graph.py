"""Access to an ONNX graph: its constants, the attributes of its nodes, and its recurrent nodes as layers."""

from typing import Any

import numpy as np

from elman.cells import CellModule
from elman.convert.layers import optional_module
from elman.convert.onnx_nodes import RECURRENT, layer_of

# Operators that keep zeros zero
MOVES = ("Expand", "Reshape", "Unsqueeze", "Squeeze", "Slice", "Transpose", "Cast", "Tile")


class Graph:
    """ONNX graph with its tensors and nodes by name."""

    def __init__(self, graph: Any):
        self.helper, self.numpy_helper = (
            optional_module(f"onnx.{part}", "reading ONNX files") for part in ("helper", "numpy_helper")
        )
        self.given = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes = list(graph.node)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.inputs = {value.name: value for value in graph.input if value.name not in self.given}
        self.outputs = [value.name for value in graph.output]
        self.recurrences = [node for node in self.nodes if node.op_type in RECURRENT and is_standard(node)]

    def recurrence(self, node: Any) -> CellModule:
        """Return the layer of a recurrent node.

        Raises:
            ValueError: the initial state is neither zero nor an input of the graph, or as in `layer_of`.
        """
        where = f"from_onnx: {title(node)}"
        names = [*node.input, *[""] * (8 - len(node.input))]
        for name in names[5:7]:
            if name and name not in self.inputs and not self._is_zero(name):
                raise ValueError(
                    f"{where}: expected an initial state of zeros, or an input of the graph, got {name!r}."
                )
        w, r = (self.weight(where, name) for name in names[1:3])
        b, p = (self.weight(where, name) if name else None for name in (names[3], names[7]))
        return layer_of(where, node.op_type, self.settings(node), w, r, b, p)

    def settings(self, node: Any) -> dict[str, Any]:
        """Return the attributes of a node."""

        def value(attribute: Any) -> Any:
            got = self.helper.get_attribute_value(attribute)
            if isinstance(got, bytes):
                return got.decode()
            return [one.decode() if isinstance(one, bytes) else one for one in got] if isinstance(got, list) else got

        return {attribute.name: value(attribute) for attribute in node.attribute}

    def constant(self, name: str) -> np.ndarray | None:
        """Return the value of a constant tensor, or None."""
        if name in self.given:
            return self._array(name, self.given[name])
        node = self.makers.get(name)
        if node is not None and node.op_type == "Identity":
            return self.constant(node.input[0])
        if node is not None and node.op_type == "Constant":
            value = self.settings(node).get("value")
            return None if value is None else self._array(name, value)
        return None

    def weight(self, where: str, name: str) -> np.ndarray:
        """Return a constant of floating-point numbers.

        Raises:
            ValueError: the tensor is not a constant, or has another dtype.
        """
        array = self.constant(name)
        if array is None:
            raise ValueError(f"{where}: expected constant weights, but {name!r} is computed or an input; export "
                             "the graph with constant folding.")  # fmt: skip
        if array.dtype not in (np.float32, np.float64):
            raise ValueError(f"{where}: expected weights of float32 or float64, got {name!r} of {array.dtype}.")
        return array

    def _array(self, name: str, tensor: Any) -> np.ndarray:
        try:
            return np.array(self.numpy_helper.to_array(tensor))
        except (ValueError, TypeError) as error:
            raise ValueError(f"from_onnx: tensor {name!r} is truncated or damaged: {error}.") from None

    def _is_zero(self, name: str) -> bool:
        """Return whether a tensor consists of zeros."""
        array, node = self.constant(name), self.makers.get(name)
        if array is not None:
            return not array.any()
        if node is None:
            return False
        if node.op_type == "ConstantOfShape":
            value = self.settings(node).get("value")
            return value is None or not self._array(name, value).any()
        if node.op_type in MOVES:
            return self._is_zero(node.input[0])
        return node.op_type == "Concat" and all(map(self._is_zero, node.input))


def is_standard(node: Any) -> bool:
    """Return whether a node is a standard operator of ONNX."""
    return node.domain in ("", "ai.onnx")


def title(node: Any) -> str:
    """Return operator and name of a node, for error messages."""
    return f"{node.op_type} {node.name or next(iter(node.output), '')!r}"
