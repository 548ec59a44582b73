"""Graphs of networks: their inputs and outputs, and the same computation by the network, for a comparison."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from elman import state as states
from elman.convert.onnx_writing.attention import PaddedMemory, with_padded_memory
from elman.convert.onnx_writing.layers import write_scan, write_step
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import Graph, Value
from elman.network import Layer
from elman.sequences import Sequences
from elman.state import State

SAMPLE_LENGTHS = [5, 0, 3, 1]  # steps of the rows of a comparison
SAMPLE_ROWS = 3

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

    def rows(self, values: Value) -> PaddedRows:
        """Add the lengths of the rows of a padded batch as an input, and return the layout."""
        return PaddedRows(self.graph.input("lengths", np.int64, ["B"]), values)


def sample(network: Layer, random: np.random.Generator, *sizes: int) -> np.ndarray:
    """Return random inputs of a network, numbers or ids, of the shape [*sizes, *network.step_shape]."""
    if network.reads_ids:
        return random.integers(0, network.input_size, sizes)
    return random.standard_normal((*sizes, *network.step_shape), np.float32)


class RowsGraph(NetworkGraph):
    """Graph of whole rows: x [B, T, ...] and lengths [B] -> y [B, T, O]; with the option, states as well."""

    def __init__(self, network: Layer, with_state: bool = False):
        self.with_state = with_state
        super().__init__(network)

    def build(self) -> None:
        leaves = StateLeaves(self.network.initial_state(1), self.graph) if self.with_state else None
        y, after = self.write(leaves.inputs if leaves else None)
        self.outputs = [("y", y, ("B", "T", self.network.output_size))]
        if leaves:
            self.outputs += leaves.outputs(y, after)
            self.description = {"state": leaves.description}

    def write(self, state: State | None) -> tuple[Value, State]:
        """Write the other inputs and all nodes; return y and the state after the last step of each row."""
        x = self.input("x", "B", "T")
        return write_scan(self.network, x, self.rows(x), state)

    def comparison(self, random: np.random.Generator) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        lengths = np.array(SAMPLE_LENGTHS)
        real = np.arange(lengths.max()) < lengths[:, None]
        state = self.network.initial_state(len(lengths))
        for _ in range(2 if self.with_state else 1):
            given = {"lengths": lengths} | self.inputs(random, *real.shape) | dict(named_leaves(state))
            y, state = self.run(given, real, state)
            padded = np.zeros((*real.shape, *y.values.shape[1:]), y.values.dtype)
            padded[real] = y.values
            yield given, {"y": padded, **after_names(state)}, {"y": real}

    def inputs(self, random: np.random.Generator, *sizes: int) -> dict[str, np.ndarray]:
        """Return random inputs [B, T, ...], without the lengths."""
        return {"x": sample(self.network, random, *sizes)}

    def run(self, given: Arrays, real: np.ndarray, state: State) -> tuple[Sequences, State]:
        """Scan the real steps of the inputs with the network; return y and the final state."""
        y, state = self.network.scan(Sequences(given["x"][real], given["lengths"]), state)
        return y, state


class StepGraph(NetworkGraph):
    """Graph of a step: x [B, ...] and the state before it -> y [B, O] and the state after it.

    Attributes:
        cell: the network, or the part of it that has the step.
    Raises:
        ValueError: the network reads whole rows.
    """

    @property
    def cell(self) -> Any:
        return self.network

    def build(self) -> None:
        if not self.cell.streams:
            raise ValueError(f"to_onnx: {whole_rows_layer(self.cell)} reads whole rows, so that the network has no "
                             "steps; export whole rows, without steps.")  # fmt: skip
        leaves = StateLeaves(self.cell.initial_state(1), self.graph)
        y, after = self.write(leaves.inputs)
        self.outputs = [("y", y, ("B", self.cell.output_size)), *leaves.outputs(y, after)]
        self.description = {"state": leaves.description}

    def write(self, state: State) -> tuple[Value, State]:
        """Write inputs and nodes of the step; return y and the state after it."""
        return write_step(self.cell, self.input("x", "B"), state)

    def comparison(self, random: np.random.Generator) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        state = self.first_state(random)
        for _ in range(3):
            given = self.inputs(random) | dict(named_leaves(state))
            y, state = self.run(given, state)
            yield given, {"y": y, **after_names(state)}, {}

    def first_state(self, random: np.random.Generator) -> State:
        """Return a state before the first step of `SAMPLE_ROWS` rows."""
        return self.cell.initial_state(SAMPLE_ROWS)

    def inputs(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """Return random inputs of a step."""
        return {"x": sample(self.network, random, SAMPLE_ROWS)}

    def run(self, given: Arrays, state: State) -> tuple[np.ndarray, State]:
        """Run a step of the network."""
        y, state = self.cell.step(given["x"], state)
        return y, state


class StateLeaves:
    """Leaves of a state as inputs and outputs of a graph.

    Leaves on which no output depends, such as the counters of dropout, are left out. A leaf that a step does not
    change, such as a memory, is an input only.

    Args:
        first: initial state of a single row, of arrays.
    """

    def __init__(self, first: State, graph: Graph):
        self._graph, self._first, first = graph, dict(named_leaves(first)), with_padded_memory(first)
        self._axes = dict(named_axes(first))
        made = iter([graph.input(name, leaf.dtype, self._axes[name]) for name, leaf in self._first.items()])
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
            {"input": name, "output": None if ends[name].name == name else after_name(name),
             "shape": list(self._axes[name]), "dtype": str(leaf.dtype), "initial": initial_number(leaf)}
            for name, leaf in kept.items()
        ]  # fmt: skip
        return [(after_name(name), ends[name], self._axes[name]) for name in kept if ends[name].name != name]


def initial_number(leaf: np.ndarray) -> int | float | str:
    """Return the number that fills the initial state; an infinity as text, since JSON has none."""
    number = leaf.ravel()[0].item() if leaf.size else 0
    return number if np.isfinite(number) else str(number)


def named_leaves(state: State) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a state by name: `state.0.h` for the field h of its first part."""
    return ((name, leaf) for name, leaf, _ in _walk(with_padded_memory(state), "state", ("B",)))


def named_axes(state: State) -> Iterator[tuple[str, Shape]]:
    """Yield the sizes of the axes of each leaf: B rows, S steps of a memory, and numbers."""
    for name, leaf, axes in _walk(state, "state", ("B",)):
        yield name, (*axes[: leaf.ndim], *leaf.shape[len(axes) :])


def _walk(state: State, name: str, axes: Shape) -> Iterator[tuple[str, Any, Shape]]:
    """Yield the leaves of a state by name, with the names of their first axes."""
    if not isinstance(state, tuple):
        yield name, state, axes
        return
    axes = ("B", "S") if isinstance(state, PaddedMemory) else axes
    for field, part in zip(getattr(state, "_fields", range(len(state))), state, strict=True):
        yield from _walk(part, f"{name}.{field}", axes)


def after_name(name: str) -> str:
    """Return the name of the output for a leaf of the state."""
    return f"next_{name}"


def after_names(state: State) -> dict[str, np.ndarray]:
    """Return the leaves of a state by the names of the outputs."""
    return {after_name(name): leaf for name, leaf in named_leaves(state)}


def whole_rows_layer(network: Layer) -> str:
    """Return the class of the innermost layer that reads whole rows."""
    inner = next((cell for cell in network.cells if not cell.streams), None)
    return type(network).__name__ if inner is None else whole_rows_layer(inner)
