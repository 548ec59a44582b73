"""Decoder: generates one unit after another from a source (Sutskever et al. 2014, arXiv:1409.3215)."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from elman import state as states
from elman.arrays import Array, is_tensor, like, namespace
from elman.cell import Cell
from elman.memory import Memory
from elman.network.checks import check_state
from elman.network.layer import Layer
from elman.network.spec import LayerSpec
from elman.network.states import DecoderState
from elman.sequences import Sequences
from elman.state import State


class BaseDecoder(Cell):
    """Base of the decoders in NumPy and in PyTorch, which defines their computation. See `elman.layers.Decoder`.

    Attributes:
        embedding: units to features.
        body: the layers after it: a stack, or the output feedback of one.
        readout: features to the logits of the units.
        bridge: affine map of a summary of the source to the initial state of the layers; None without a summary.
    """

    embedding: Any
    body: Any
    readout: Any
    bridge: Any

    @property
    def feeds(self) -> bool:
        """Whether a step reads the features of the previous step (input feeding)."""
        return bool(self.body.kind == "output_feedback")

    @property
    def stack(self) -> Any:
        """The layers, without the output feedback around them."""
        return self.body.cell if self.feeds else self.body

    @property
    def attention(self) -> Any:
        """The layer that attends to the memory, or None."""
        return next((cell for cell in self.stack.cells if cell.kind == "attention"), None)

    def initial_state(
        self, batch_size: int, memory: Memory | None = None, summary: Array | None = None
    ) -> DecoderState:
        """Return the state before the first unit.

        Args:
            memory: sequences to attend to, of `batch_size` rows.
            summary: summary of the source, from which the state of the recurrent layers is computed, [B, F].
        """
        numbers = None
        if self.bridge is not None and summary is not None:
            numbers = namespace(summary).tanh(self.bridge.apply_to(summary))
        parts = []
        for cell in self.stack.cells:
            if cell.kind == "attention":
                part: State = cell.initial_state(batch_size, memory)
            else:
                part, numbers = _filled(cell.initial_state(batch_size), numbers)
            parts.append(part)
        body: State = tuple(parts)
        if self.feeds:
            body = body, self.body.initial_state(batch_size)[1]
        return DecoderState(self.embedding.initial_state(batch_size), body)

    def features(self, ids: Sequences, state: DecoderState | None = None) -> tuple[Sequences, DecoderState]:
        """Return the input of the read-out at each step, [N, E], and the final state."""
        embedding, body = self.initial_state(len(ids)) if state is None else state
        embedded, embedding = self.embedding.scan(ids, embedding)
        features, body = self.body.scan(embedded, body)
        return features, DecoderState(embedding, body)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, DecoderState]:
        features, state = self.features(sequences, state)
        return features.map(self.readout.apply_to), state

    def step(self, x: Array, state: DecoderState) -> tuple[Array, DecoderState]:
        embedded, embedding = self.embedding.step(x, state.embedding)
        features, body = self.body.step(embedded, state.body)
        return self.readout.apply_to(features), DecoderState(embedding, body)

    def alignment(self, ids: Sequences, state: DecoderState) -> list[np.ndarray]:
        """Return the attention weights at each unit of each row, [T, S]; each sums to 1 over S.

        Raises:
            ValueError: the decoder has no attention.
        """
        attention = self.attention
        if attention is None:
            raise ValueError("Decoder.alignment: expected a decoder with an Attention layer, got one without.")
        queries, _ = self.embedding.scan(ids, state.embedding)
        body = state.body
        if self.feeds:
            body, before = state.body
            written = self.body.scan(queries, state.body)[0].values
            inputs = queries.values, _shifted(written, before, ids)
            queries = queries.with_values(namespace(written).concatenate(inputs, 1))
        for cell, part in zip(self.stack.cells, body, strict=True):
            if cell is attention:
                return list(attention.attention_weights(queries, part))
            queries, _ = cell.scan(queries, part)
        raise AssertionError("the attention is a layer of the stack")


class Decoder(BaseDecoder, Layer):
    """Network that predicts each unit from the previous ones and a source."""

    kind = "decoder"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(len(self.cells) in (3, 4), "an embedding, a body, a readout and a bridge or none", len(self.cells))
        self.embedding, self.body, self.readout, self.bridge = [*self.cells, None][:4]
        self.step_shape = self.embedding.step_shape
        spec.check(self.embedding.reads_ids, "an embedding that reads ids", f"a {self.embedding.kind}")
        spec.check(self.stack.kind == "stack", "a stack as its body", f"a {self.stack.kind}")
        spec.check(self.readout.kind == "linear", "a linear readout", f"a {self.readout.kind}")
        units, size = self.embedding.input_size, self.input_size
        spec.check(units == size, f"an embedding of {size} units", units)
        shape: tuple[int, ...] = ()
        for cell in self.cells[:3]:
            spec.check(cell.streams, f"a {cell.kind} that streams", "one that reads whole sequences")
            spec.check_shapes(cell, shape, (cell.output_size,))
            shape = cell.output_shape
        spec.check(shape == self.output_shape, f"a readout to {self.output_size} units", list(shape))
        self.summary_size = 0
        if self.bridge is not None:
            spec.check(self.bridge.kind == "linear", "a linear bridge", f"a {self.bridge.kind}")
            width = summary_width(self.stack.initial_state(0))
            spec.check(self.bridge.output_size == width, f"a bridge to {width} numbers", self.bridge.output_size)
            self.summary_size = self.bridge.input_size

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, DecoderState]:
        sequences, _ = self.checked(sequences, None)
        self._check_rows("scan", state, len(sequences))
        return super().scan(sequences, state)

    def step(self, x: np.ndarray, state: DecoderState) -> tuple[np.ndarray, DecoderState]:
        self._check_rows("step", state, len(x))
        return super().step(x, state)

    def _check_rows(self, verb: str, state: State | None, rows: int) -> None:
        """Raise unless a state from outside has the leaves of `initial_state`, and a memory of its features."""
        if self.outermost and state is not None:
            check_state(f"Decoder.{verb}", state, self.initial_state(rows))


def summary_width(state: State) -> int:
    """Return the number of floating-point numbers in a row of a state, F."""
    return sum(math.prod(leaf.shape[1:]) for leaf in _numbers(state))


def summary_of(state: State) -> Array:
    """Return the floating-point numbers of a state (all layers and directions), concatenated to [B, F]."""
    leaves = [leaf.reshape(len(leaf), math.prod(leaf.shape[1:])) for leaf in _numbers(state)]
    return namespace(leaves[0]).concatenate(leaves, 1)


def _filled(state: State, numbers: Array | None) -> tuple[State, Array | None]:
    """Return the state with the first of `numbers` [B, F] as its values, and the rest of the numbers."""
    if numbers is None:
        return state, None
    used = 0

    def fill(leaf: Array) -> Array:
        nonlocal used
        if not _is_real(leaf):
            return leaf
        start, used = used, used + math.prod(leaf.shape[1:])
        return numbers[:, start:used].reshape(leaf.shape)

    return states.map(fill, state), numbers[:, used:]


def _shifted(written: Array, before: Array, rows: Sequences) -> Array:
    """Return the output of the previous step at each step, [N, E]; at the first step of row b, `before[b]`."""
    shifted = namespace(written).empty_like(written)
    shifted[1:] = written[:-1]
    first = rows.lengths > 0
    shifted[like(rows.offsets[:-1][first], shifted)] = before[like(first, before)]
    return shifted


def _numbers(state: State) -> Iterator[Array]:
    """Yield the floating-point leaves [B, ...]; a memory, which rows share, has none."""
    return (leaf for leaf in states.row_leaves(state) if _is_real(leaf))


def _is_real(leaf: Array) -> bool:
    return bool(leaf.is_floating_point() if is_tensor(leaf) else leaf.dtype.kind == "f")
