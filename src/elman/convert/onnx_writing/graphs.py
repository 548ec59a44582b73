"""Graphs of networks: their inputs and outputs, and the same computation by the network, for a comparison."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from elman import state as states
from elman.convert.onnx_writing.layers import write_scan, write_step
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import Graph, Value
from elman.network import Layer
from elman.sequences import Sequences
from elman.state import State

SAMPLE_LENGTHS = [5, 0, 3, 1]  # steps of the rows of a comparison

Arrays = Mapping[str, np.ndarray]
Shape = tuple[int | str, ...]  # sizes of axes; a letter for any size


class NetworkGraph(ABC):
    """Graph of a network, and how to compare it with the network.

    Args:
        network: the network.
    Attributes:
        graph: the graph.
        outputs: name, value and shape of each output.
        description: further facts about inputs and outputs, for the metadata of the file.
        unsupported: sentences about parts of the model that the graph leaves out.
    """

    def __init__(self, network: Layer):
        self.network, self.graph = network, Graph()
        self.outputs: list[tuple[str, Value, Shape]] = []
        self.description: dict[str, Any] = {}
        self.unsupported: list[str] = []
        self.build()

    @abstractmethod
    def build(self) -> None:
        """Write all nodes, and set the outputs."""

    @abstractmethod
    def comparison(self, random: np.random.Generator) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        """Yield random inputs, the outputs of the network, and where they are defined, a mask for some outputs."""

    def input(self, name: str, *axes: str) -> Value:
        """Add an input of the shape [*axes, *network.step_shape], numbers or ids."""
        kind = np.int64 if self.network.reads_ids else np.float32
        return self.graph.input(name, kind, [*axes, *self.network.step_shape])

    def sample(self, random: np.random.Generator, *sizes: int) -> np.ndarray:
        """Return random values for such an input."""
        if self.network.reads_ids:
            return random.integers(0, self.network.input_size, sizes)
        return random.standard_normal((*sizes, *self.network.step_shape), np.float32)


class RowsGraph(NetworkGraph):
    """Graph of whole rows: x [B, T, ...] and lengths [B] -> y [B, T, O]; with the option, states as well."""

    def __init__(self, network: Layer, with_state: bool = False):
        self.with_state = with_state
        super().__init__(network)

    def build(self) -> None:
        x, lengths = self.input("x", "B", "T"), self.graph.input("lengths", np.int64, ["B"])
        rows = PaddedRows(lengths, x)
        leaves = StateLeaves(self.network.initial_state(1), self.graph) if self.with_state else None
        y, after = write_scan(self.network, x, rows, leaves.inputs if leaves else None)
        self.outputs = [("y", y, ("B", "T", self.network.output_size))]
        if leaves:
            self.outputs += leaves.outputs(y, after)
            self.description = {"state": leaves.description}

    def comparison(self, random: np.random.Generator) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        lengths = np.array(SAMPLE_LENGTHS)
        x = self.sample(random, len(lengths), lengths.max())
        real = np.arange(x.shape[1]) < lengths[:, None]
        state = self.network.initial_state(len(lengths))
        for _ in range(2 if self.with_state else 1):
            given = {"x": x, "lengths": lengths, **dict(named_leaves(state))}
            y, state = self.network.scan(Sequences(x[real], lengths), state)
            padded = np.zeros((*real.shape, *y.values.shape[1:]), y.values.dtype)
            padded[real] = y.values
            yield given, {"y": padded, **after_names(state)}, {"y": real}


class StepGraph(NetworkGraph):
    """Graph of a step: x [B, ...] and the state before it -> y [B, O] and the state after it.

    Raises:
        ValueError: the network reads whole rows.
    """

    def build(self) -> None:
        if not self.network.streams:
            raise ValueError(f"to_onnx: {whole_rows_layer(self.network)} reads whole rows, so that the network has no "
                             "steps; export whole rows, without steps.")  # fmt: skip
        x, leaves = self.input("x", "B"), StateLeaves(self.network.initial_state(1), self.graph)
        y, after = write_step(self.network, x, leaves.inputs)
        self.outputs = [("y", y, ("B", self.network.output_size)), *leaves.outputs(y, after)]
        self.description = {"state": leaves.description}

    def comparison(self, random: np.random.Generator) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        state = self.network.initial_state(3)
        for _ in range(3):
            x = self.sample(random, 3)
            given = {"x": x, **dict(named_leaves(state))}
            y, state = self.network.step(x, state)
            yield given, {"y": y, **after_names(state)}, {}


class StateLeaves:
    """Leaves of a state as inputs and outputs of a graph.

    Leaves on which no output depends, such as the counters of dropout, are left out.

    Args:
        first: initial state of a single row.
    """

    def __init__(self, first: State, graph: Graph):
        self._graph, self._first = graph, dict(named_leaves(first))
        made = iter([graph.input(name, leaf.dtype, ["B", *leaf.shape[1:]]) for name, leaf in self._first.items()])
        self.inputs: State = states.map(lambda _: next(made), first)
        self.description: list[dict[str, Any]] = []

    def outputs(self, y: Value, after: State) -> list[tuple[str, Value, Shape]]:
        """Return the outputs, and describe inputs and outputs in `description`."""
        ends = dict(zip(self._first, states.leaves(after), strict=True))
        needed: set[str] = set()
        while True:
            read = self._graph.ancestors([y.name, *(ends[name].name for name in needed)])
            if needed == (needed := {name for name in self._first if name in read}):
                break
        kept = {name: leaf for name, leaf in self._first.items() if name in needed}
        self.description = [
            {"input": name, "output": after_name(name), "shape": ["B", *leaf.shape[1:]], "dtype": str(leaf.dtype),
             "initial": initial_number(leaf)} for name, leaf in kept.items()
        ]  # fmt: skip
        return [(after_name(name), ends[name], ("B", *leaf.shape[1:])) for name, leaf in kept.items()]


def initial_number(leaf: np.ndarray) -> int | float | str:
    """Return the number that fills the initial state; an infinity as text, since JSON has none."""
    number = leaf.ravel()[0].item() if leaf.size else 0
    return number if np.isfinite(number) else str(number)


def named_leaves(state: State, name: str = "state") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a state by name: `state.0.h` for the field h of its first part."""
    if not isinstance(state, tuple):
        yield name, state
        return
    for field, part in zip(getattr(state, "_fields", range(len(state))), state, strict=True):
        yield from named_leaves(part, f"{name}.{field}")


def after_name(name: str) -> str:
    """Return the name of the output for a leaf of the state."""
    return f"next_{name}"


def after_names(state: State) -> Arrays:
    """Return the leaves of a state by the names of the outputs."""
    return {after_name(name): leaf for name, leaf in named_leaves(state)}


def whole_rows_layer(network: Layer) -> str:
    """Return the class of the innermost layer that reads whole rows."""
    inner = next((cell for cell in network.cells if not cell.streams), None)
    return type(network).__name__ if inner is None else whole_rows_layer(inner)
