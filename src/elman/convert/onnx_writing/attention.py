"""Writers of attention and decoders, whose state contains the memory of a source as a padded batch."""

from typing import Any, NamedTuple, NoReturn

import numpy as np

from elman import state as states
from elman.convert.onnx_writing.layers import LayerWriter, write_step
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import Value, concat, tanh, where
from elman.memory import Memory
from elman.network.attention import Attention
from elman.network.decoder import Decoder
from elman.network.states import DecoderState
from elman.state import State


class PaddedMemory(NamedTuple):
    """Memory for attention, of values in a graph or of arrays; each row reads its own."""

    keys: Any  # [B, S, A]
    values: Any  # [B, S, D]
    lengths: Any  # [B] int64


def with_padded_memory(state: State) -> State:
    """Return a state of arrays in which every `Memory` is a `PaddedMemory`."""
    if isinstance(state, Memory):
        sequences = state.sequences.select(state.rows)
        keys, values = sequences.to_padded()
        return PaddedMemory(keys, values, sequences.lengths)
    if not isinstance(state, tuple):
        return state
    parts = [with_padded_memory(part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def write_memory(layer: Attention, values: Value, lengths: Value) -> PaddedMemory:
    """Write the nodes of the memory, from the values [B, S, D] of sources."""
    return PaddedMemory(values if layer.weight_key is None else values @ layer.weight_key.T, values, lengths)


class AttentionWriter(LayerWriter, kind="attention"):
    """Nodes of a step of attention over a memory."""

    def step(self, layer: Attention, x: Value, state: PaddedMemory) -> tuple[Value, State]:
        query = x if layer.weight_query is None else x @ layer.weight_query.T + layer.bias_query
        if layer.weight_score is None:
            scores = state.keys @ query.expand_dims(2)
        else:
            scores = tanh(state.keys + query.expand_dims(1)) @ layer.weight_score[:, None]
        weights = PaddedRows(state.lengths, state.values).softmax(scores)  # [B, S, 1]
        context = (weights.transpose(0, 2, 1) @ state.values).squeeze(1)
        return tanh(concat([x, context], 1) @ layer.weight.T + layer.bias), state

    def scan(self, layer: Attention, x: Value, rows: PaddedRows, state: State | None) -> NoReturn:
        raise ValueError("to_onnx: Attention reads the memory of an encoder; export the whole encoder-decoder.")


class DecoderWriter(LayerWriter, kind="decoder"):
    """Nodes of a step of a decoder."""

    def step(self, layer: Decoder, x: Value, state: DecoderState) -> tuple[Value, State]:
        embedded, embedding = write_step(layer.embedding, x, state.embedding)
        features, body = write_step(layer.body, embedded, state.body)
        y, _ = write_step(layer.readout, features, ())
        return y, DecoderState(embedding, body)

    def scan(self, layer: Decoder, x: Value, rows: PaddedRows, state: State | None) -> NoReturn:
        raise ValueError("to_onnx: Decoder reads the state of an encoder; export the whole encoder-decoder.")


def write_first_state(decoder: Decoder, rows: PaddedRows, memory: Value, summary: Value | None) -> DecoderState:
    """Write the nodes of a decoder's state before the first unit.

    Args:
        rows: layout of the sources.
        memory: output of the encoder, [B, S, D].
        summary: summary of the sources, [B, F]; None without a bridge.
    """
    memory = where(rows.mask.expand_dims(2), memory, 0)  # a NaN in the padding would not be ignored otherwise
    numbers = None if summary is None else tanh(write_step(decoder.bridge, summary, ())[0])
    used = 0

    def filled(leaf: np.ndarray, value: Value) -> Value:
        """Return the next of the numbers in the shape of a leaf of floating-point numbers."""
        nonlocal used
        if numbers is None or leaf.dtype != np.float32:
            return value
        start, used = used, used + leaf[0].size
        return numbers[:, start:used].reshape(0, *leaf.shape[1:])

    parts: list[State] = []
    for cell in decoder.stack.cells:
        if isinstance(cell, Attention):
            parts.append(write_memory(cell, memory, rows.lengths))
        else:
            first = cell.initial_state(1)
            parts.append(states.map(filled, first, rows.initial(first)))
    body: State = tuple(parts)
    if decoder.feeds:
        body = body, rows.initial(decoder.body.initial_state(1)[1])
    return DecoderState(rows.initial(decoder.embedding.initial_state(1)), body)
