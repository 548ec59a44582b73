"""Graphs of networks of tasks, which read and compute more than one sequence."""

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np

from elman import state as states
from elman.convert.onnx_writing.attention import with_padded_memory, write_first_state
from elman.convert.onnx_writing.graphs import (
    SAMPLE_LENGTHS,
    SAMPLE_ROWS,
    Arrays,
    NetworkGraph,
    RowsGraph,
    StepGraph,
    named_axes,
    named_leaves,
    sample,
)
from elman.convert.onnx_writing.layers import write_scan, write_step, writer
from elman.convert.onnx_writing.pooling import PoolingWriter
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import Graph, Value, concat, softmax
from elman.network import Layer
from elman.network.pictures import ANY, Trunk
from elman.network.tagger import TaggerNet
from elman.sequences import Sequences
from elman.state import State

Axes = tuple[str, ...]


class TaggerInputs:
    """Inputs of the graph of a tagger: ids of words and given tags, and the spellings of the words.

    A row of `characters` is the spelling of a word; `spelling` is the number of its row for each word.

    Args:
        axes: (B, T) for whole rows, (B,) for a step.
    """

    def __init__(self, network: TaggerNet, graph: Graph, axes: Axes):
        self.network, self.graph = network, graph
        self.word = graph.input("word", np.int64, axes)
        self.given = graph.input("given", np.int64, [*axes, len(network.given)]) if network.given else None
        if network.spelling is not None:
            self.spelling = graph.input("spelling", np.int64, axes)
            self.characters = graph.input("characters", np.int64, ["M", "C"])
            self.character_lengths = graph.input("character_lengths", np.int64, ["M"])

    def features(self) -> Value:
        """Write the nodes of the input of the body, [*axes, D]."""
        parts = [write_step(self.network.word, self.word, ())[0]]
        for number, table in enumerate(self.network.given):
            ids = self.graph.node("Gather", self.given, np.array(number), axis=-1)
            parts.append(write_step(table, ids, ())[0])
        if self.network.spelling is not None:
            rows = PaddedRows(self.character_lengths, self.characters)
            _, (_, (forward, backward)) = write_scan(self.network.spelling, self.characters, rows, None)
            spelled = concat([forward.h, backward.h], 1)
            parts.append(self.graph.node("Gather", spelled, self.spelling, dtype=np.float32))
        return concat(parts, -1) if len(parts) > 1 else parts[0]

    @staticmethod
    def sample(network: TaggerNet, random: np.random.Generator, *sizes: int) -> dict[str, np.ndarray]:
        """Return random inputs."""
        words, characters, given = network.sizes
        tags = [random.integers(0, size, sizes) for size in given]
        return {
            "word": random.integers(0, words, sizes),
            "given": np.stack(tags, -1) if tags else np.zeros((*sizes, 0), np.int64),
            "spelling": random.integers(0, len(SAMPLE_LENGTHS), sizes),
            "characters": random.integers(0, max(characters, 1), (len(SAMPLE_LENGTHS), max(SAMPLE_LENGTHS))),
            "character_lengths": np.maximum(SAMPLE_LENGTHS, 1),
        }

    @staticmethod
    def run(network: TaggerNet, inputs: Arrays, real: np.ndarray, state: State) -> tuple[Sequences, State]:
        """Return the scores of the network, and the state after them, for the real steps of [B, T]."""
        tokens = Sequences(tuple(inputs[name][real] for name in ("word", "spelling", "given")), real.sum(1))
        sizes = inputs["character_lengths"]
        spelled = np.arange(inputs["characters"].shape[1]) < sizes[:, None]
        return network.scores(tokens, Sequences(inputs["characters"][spelled], sizes), state)


def leave_out_decoding(graph: "TaggerRowsGraph | TaggerStepGraph") -> None:
    """Describe the decoding of tags, which is not part of a graph."""
    names = "transitions", "start", "end"
    weights = zip(names, graph.network.chain, strict=True)
    graph.description |= {"chain": {name: weight.tolist() for name, weight in weights}}
    graph.unsupported.append("the decoding of the CRF is not in the graph: y has the score of each tag, and the "
                             "metadata have the weights of the transitions.")  # fmt: skip


class TaggerRowsGraph(RowsGraph):
    """Graph of a tagger: sentences -> y [B, T, K], the score of each tag at each word."""

    network: Any

    def build(self) -> None:
        super().build()
        leave_out_decoding(self)

    def write(self, state: State | None) -> tuple[Value, State]:
        features = TaggerInputs(self.network, self.graph, ("B", "T")).features()
        body, state = write_scan(self.network.body, features, self.rows(features), state)
        return write_step(self.network.readout, body, ())[0], state

    def inputs(self, random: np.random.Generator, *sizes: int) -> dict[str, np.ndarray]:
        return TaggerInputs.sample(self.network, random, *sizes)

    def run(self, given: Arrays, real: np.ndarray, state: State) -> tuple[Sequences, State]:
        return TaggerInputs.run(self.network, given, real, state)


class TaggerStepGraph(StepGraph):
    """Graph of a step of a tagger that reads forwards: a word -> y [B, K], the scores of its tags."""

    network: Any

    def build(self) -> None:
        super().build()
        leave_out_decoding(self)

    def write(self, state: State) -> tuple[Value, State]:
        features = TaggerInputs(self.network, self.graph, ("B",)).features()
        body, state = write_step(self.network.body, features, state)
        return write_step(self.network.readout, body, ())[0], state

    def inputs(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        return TaggerInputs.sample(self.network, random, SAMPLE_ROWS)

    def run(self, given: Arrays, state: State) -> tuple[np.ndarray, State]:
        rows = {name: array[:, None] if name in ("word", "spelling", "given") else array
                for name, array in given.items()}  # fmt: skip
        y, state = TaggerInputs.run(self.network, rows, np.ones((SAMPLE_ROWS, 1), bool), state)
        return y.values, state


class ClassifierGraph(RowsGraph):
    """Graph of a classifier: whole rows -> y [B, K], the logits of the classes, and their probabilities."""

    network: Any

    def build(self) -> None:
        x = self.input("x", "B", "T")
        rows = self.rows(x)
        features, _ = write_scan(self.network.body, x, rows, None)
        pooling = writer(self.network.pooling)
        assert isinstance(pooling, PoolingWriter)
        y, _ = write_step(self.network.readout, pooling.pool(self.network.pooling, features, rows), ())
        size = "B", self.network.output_size
        self.outputs = [("y", y, size), ("probabilities", softmax(y), size)]

    def comparison(self, random: np.random.Generator) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        lengths = np.array(SAMPLE_LENGTHS)
        real = np.arange(lengths.max()) < lengths[:, None]
        given = self.inputs(random, *real.shape)
        y = self.network.classify(Sequences(given["x"][real], lengths))
        yield {"lengths": lengths, **given}, {"y": y, "probabilities": probabilities(y)}, {}


class ClassifierStepGraph(StepGraph):
    """Graph of a step of a classifier that reads forwards: logits y [B, K] for the steps so far, and probabilities."""

    def build(self) -> None:
        super().build()
        (name, y, size), *after = self.outputs
        self.outputs = [(name, y, size), ("probabilities", softmax(y), size), *after]

    def comparison(self, random: np.random.Generator) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        for given, expected, masks in super().comparison(random):
            yield given, {**expected, "probabilities": probabilities(expected["y"])}, masks


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax of logits, [B, K]."""
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


class EncoderGraph(NetworkGraph):
    """Graph of an encoder: sources -> the state of the decoder before the first unit, the inputs of `DecoderGraph`."""

    network: Any

    @property
    def _reads_pictures(self) -> bool:
        return bool(self.network.encoder.kind == "picture_encoder")

    def build(self) -> None:
        encoder, decoder = self.network.encoder, self.network.decoder
        if self._reads_pictures:
            trunk = encoder.trunk is not None
            x = self.graph.input("x", np.float32, ["B", 3, "H", "W"] if trunk else ["B", "P", encoder.input_size])
            rows = PaddedRows.unpadded(x)
            memory, final = write_scan(encoder, x, rows, None)
            rows = PaddedRows.unpadded(memory)
        else:
            x = self.input("x", "B", "S")
            rows = self.rows(x)
            memory, final = write_scan(encoder, x, rows, None)
        leaves = [leaf for leaf in states.leaves(final) if leaf.dtype == np.float32]
        summary = concat([leaf.reshape(0, -1) for leaf in leaves], 1) if decoder.summary_size else None
        state = write_first_state(decoder, rows, memory, summary)
        axes = dict(named_axes(with_padded_memory(decoder.initial_state(1))))
        needed = {leaf["input"] for leaf in DecoderGraph(self.network).description["state"]}
        found = zip(axes, states.leaves(state), strict=True)
        self.outputs = [(name, value, axes[name]) for name, value in found if name in needed]

    def comparison(self, random: np.random.Generator) -> Iterator[tuple[Arrays, Arrays, Arrays]]:
        given, state = random_sources(self.network, random)
        expected = dict(named_leaves(state))
        lengths = given.get("lengths")
        real = None if lengths is None else np.arange(max(lengths)) < lengths[:, None]
        masks = {} if real is None else {name: real for name in expected if name.endswith((".keys", ".values"))}
        yield given, expected, masks


def random_sources(network: Any, random: np.random.Generator) -> tuple[dict[str, np.ndarray], State]:
    """Return random inputs of an encoder, and the state of the decoder before the first unit."""
    encoder, count = network.encoder, len(SAMPLE_LENGTHS)
    if encoder.kind == "picture_encoder":
        if encoder.trunk is None:
            x = random.standard_normal((count, 6, encoder.input_size), np.float32)
        else:
            areas = random.integers(0, 256, (count, 3, 3, 5)).astype(
                np.float32
            )  # of one colour each, as in photographs
            x = areas.repeat(11, 2).repeat(8, 3)
        return {"x": x}, network.begin(x)
    lengths = np.array(SAMPLE_LENGTHS)
    real = np.arange(lengths.max()) < lengths[:, None]
    x = sample(encoder, random, *real.shape)
    return {"x": x, "lengths": lengths}, network.begin(Sequences(x[real], lengths))


def with_trunk(network: Any, trunk: Trunk) -> Any:
    """Return an encoder-decoder that reads features of pictures behind the network that computes them from pixels."""
    joined, encoder = copy(network), copy(network.encoder)
    encoder.trunk, encoder.step_shape = trunk, trunk.step_shape
    joined.encoder, joined.step_shape = encoder, encoder.step_shape
    return joined


class DecoderGraph(StepGraph):
    """Graph of a step of a decoder: a unit and the state before it -> y [B, V], the logits of the next unit.

    The state before the first unit is the output of `EncoderGraph`. All rows have a memory of their own, or share one
    with B = 1.
    """

    network: Any

    @property
    def cell(self) -> Any:
        return self.network.decoder

    def build(self) -> None:
        super().build()
        for leaf in self.description["state"]:
            leaf["initial"] = None  # an output of `EncoderGraph`

    def write(self, state: State) -> tuple[Value, State]:
        return write_step(self.cell, self.graph.input("x", np.int64, ["B"]), state)

    def first_state(self, random: np.random.Generator) -> State:
        return random_sources(self.network, random)[1]

    def inputs(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": random.integers(0, self.cell.input_size, len(SAMPLE_LENGTHS))}


GRAPHS: dict[str, tuple[type[NetworkGraph], type[NetworkGraph]]] = {
    "classifier": (ClassifierGraph, ClassifierStepGraph),
    "tagger": (TaggerRowsGraph, TaggerStepGraph),
    "encoder_decoder": (EncoderGraph, DecoderGraph),
}


def graph_of(network: Layer, steps: bool, with_state: bool) -> NetworkGraph:
    """Return the graph of a network, for whole rows or a step.

    Raises:
        ValueError: the network has no such graph, or a layer of it is not supported.
    """
    rows, step = GRAPHS.get(network.kind, (RowsGraph, StepGraph))
    if network.kind not in GRAPHS and ANY in network.step_shape:
        raise ValueError(f"to_onnx: {type(network).__name__} reads pictures, not steps; export the whole "
                         "encoder-decoder.")  # fmt: skip
    if steps:
        return step(network)
    if with_state and network.kind not in GRAPHS:
        return RowsGraph(network, with_state=True)
    if with_state:
        raise ValueError(f"to_onnx: a {network.kind} has no graph of whole rows with states; write its steps instead.")
    return rows(network)
