"""Decoder: generates one unit after another from a source (Sutskever et al. 2014, arXiv:1409.3215)."""

import math
from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from elman import state as states
from elman.cells.module import CellModule
from elman.layers.attention import Attention
from elman.layers.linear import Linear
from elman.layers.output_feedback import OutputFeedback
from elman.layers.stack import Stack
from elman.memory import Memory
from elman.representation import brief_fields
from elman.sequences import Sequences
from elman.state import State


@brief_fields
class DecoderState(NamedTuple):
    embedding: State  # state of the embedding and its dropout
    body: State  # state of the recurrent layers, including the memory for attention


class Decoder(CellModule):
    """Network that predicts each unit from the previous ones and a source.

    logits = W body(embedding(previous unit)) + b

    The initial state of the recurrent layers is tanh(W summary + b) for a `summary` of the source. If the layers
    contain an `Attention`, each step also attends to a memory of the source. With input feeding (an `OutputFeedback`
    around the layers), the input of a step includes the features of the previous step, so that a scan is a loop.

    Args:
        embedding: units to features: a stack that begins with an `Embedding`.
        body: the layers after it: a stack, or an `OutputFeedback` of one.
        readout: features to the logits of the units.
        summary_size: features of the summary, F; 0 for none: the layers begin with their own initial state.
    Shapes:
        ids: [N]   state: DecoderState   ->   logits: [N, V]
    Raises:
        ValueError: ids or state do not fit the layers.
    """

    def __init__(self, embedding: Stack, body: Stack | OutputFeedback, readout: Linear, summary_size: int = 0):
        super().__init__()
        self.input_size, self.output_size, self.summary_size = embedding.input_size, readout.output_size, summary_size
        self.step_axes = embedding.step_axes
        self.embedding, self.body, self.readout = embedding, body, readout
        width = summary_width(self.stack.initial_state(0))
        self.bridge = Linear(summary_size, width) if summary_size else None

    @property
    def stack(self) -> Stack:
        """The layers, without the `OutputFeedback` around them."""
        return cast(Stack, self.body.cell if isinstance(self.body, OutputFeedback) else self.body)

    @property
    def attention(self) -> Attention | None:
        """The layer that attends to the memory, if there is one."""
        return next((cell for cell in self.stack if isinstance(cell, Attention)), None)

    def initial_state(
        self, batch_size: int, memory: Memory | None = None, summary: Tensor | None = None
    ) -> DecoderState:
        """Return the state before the first unit.

        Args:
            memory: sequences to attend to, of `batch_size` rows.
            summary: summary of the source, from which the state of the recurrent layers is computed, [B, F].
        """
        numbers = None if self.bridge is None or summary is None else self.bridge.apply_to(summary).tanh()
        parts = []
        for cell in self.stack:
            if isinstance(cell, Attention):
                part: State = cell.initial_state(batch_size, memory)
            else:
                part, numbers = _filled(cell.initial_state(batch_size), numbers)
            parts.append(part)
        body: State = tuple(parts)
        if isinstance(self.body, OutputFeedback):
            body = body, self.body.zeros(batch_size, self.body.output_size)
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

    def step(self, x: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
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
        with torch.no_grad():
            queries, _ = self.embedding.scan(ids, state.embedding)
            body = state.body
            if isinstance(self.body, OutputFeedback):
                body, before = state.body
                written = self.body.scan(queries, state.body)[0].values
                queries = queries.map(lambda x: torch.cat([x, _shifted(written, before, ids)], -1))
            place = [*self.stack].index(attention)
            for cell, part in zip([*self.stack][:place], body[:place], strict=True):
                queries, _ = cell.scan(queries, part)
            return attention.attention_weights(queries, body[place])


def summary_width(state: State) -> int:
    """Return the number of floating-point numbers in a row of a state, F."""
    return sum(math.prod(leaf.shape[1:]) for leaf in _numbers(state))


def summary_of(state: State) -> Tensor:
    """Return the floating-point numbers of a state (all layers and directions), concatenated to [B, F]."""
    return torch.cat([leaf.flatten(1) for leaf in _numbers(state)], 1)


def _filled(state: State, numbers: Tensor | None) -> tuple[State, Tensor | None]:
    """Return the state with the first of `numbers` [B, F] as its values, and the rest of the numbers."""
    if numbers is None:
        return state, None
    used = 0

    def fill(leaf: Tensor) -> Tensor:
        nonlocal used
        if not leaf.is_floating_point():
            return leaf
        start, used = used, used + math.prod(leaf.shape[1:])
        return numbers[:, start:used].reshape(leaf.shape)

    return states.map(fill, state), numbers[:, used:]


def _shifted(written: Tensor, before: Tensor, rows: Sequences) -> Tensor:
    """Return the output of the previous step at each step, [N, E]; at the first step of row b, `before[b]`."""
    shifted = torch.empty_like(written)
    shifted[1:] = written[:-1]
    first = rows.lengths > 0
    shifted[torch.from_numpy(rows.offsets[:-1][first])] = before[torch.from_numpy(first)]
    return shifted


def _numbers(state: State) -> Iterator[Tensor]:
    """Yield the floating-point leaves [B, ...]; a memory, which rows share, has none."""
    leaves = states.leaves(states.by_row(state))
    return (leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point())
