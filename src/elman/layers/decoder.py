"""A decoder writes one unit after another, given what it reads (Sutskever et al. 2014, arXiv:1409.3215)."""

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
from elman.sequences import Sequences
from elman.state import State


class DecoderState(NamedTuple):
    embedding: State  # of the embedding and its dropout
    body: State  # of the recurrent layers, with the memory that is attended to


class Decoder(CellModule):
    """logits = W body(embedding(unit before)) + b

    The recurrent layers begin with what a `summary` of the source says, tanh(W summary + b); if there is an `Attention`
    among the layers, each step reads a memory of the source as well. With input feeding (an `OutputFeedback` around the
    layers), what a step has written before the read-out is read by the next one, and a scan is a loop.

    Args:
        embedding: units to features: a stack that begins with an `Embedding`.
        body: the layers behind it: a stack, or an `OutputFeedback` of one.
        readout: features to the logits of the units.
        summary_size: features of the summary, F; 0 for none: the layers begin as they are.
    Shapes:
        ids: [N]   state: DecoderState   ->   logits: [N, V]
    Raises:
        ValueError: ids or state do not fit, as the layers say it.
    """

    def __init__(self, embedding: Stack, body: Stack | OutputFeedback, readout: Linear, summary_size: int = 0):
        super().__init__()
        self.input_size, self.output_size, self.summary_size = embedding.input_size, readout.output_size, summary_size
        self.embedding, self.body, self.readout = embedding, body, readout
        begun = [cell for cell in self.stack if not isinstance(cell, Attention)]
        width = sum(summary_width(cell.initial_state(0)) for cell in begun)
        self.bridge = Linear(summary_size, width) if summary_size else None

    @property
    def stack(self) -> Stack:
        """The layers, without the feeding of input."""
        return cast(Stack, self.body.cell if isinstance(self.body, OutputFeedback) else self.body)

    @property
    def attention(self) -> Attention | None:
        """The layer that reads the memory, if there is one."""
        return next((cell for cell in self.stack if isinstance(cell, Attention)), None)

    def initial_state(
        self, batch_size: int, memory: Memory | None = None, summary: Tensor | None = None
    ) -> DecoderState:
        """
        Args:
            memory: what is attended to, of `batch_size` rows.
            summary: what the layers begin with, [B, F].
        """
        begun = None if self.bridge is None or summary is None else self.bridge.apply_to(summary).tanh()
        parts = []
        for cell in self.stack:
            if isinstance(cell, Attention):
                parts.append(cell.initial_state(batch_size, memory))
                continue
            part = cell.initial_state(batch_size)
            if begun is not None:
                part, begun = _filled(part, begun)
            parts.append(part)
        body: State = tuple(parts)
        if isinstance(self.body, OutputFeedback):
            body = body, self.body.zeros(batch_size, self.body.output_size)
        return DecoderState(self.embedding.initial_state(batch_size), body)

    def features(self, ids: Sequences, state: DecoderState | None = None) -> tuple[Sequences, DecoderState]:
        """What the read-out reads at each step, [N, E], and the state after it."""
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
        """Where it looks when it reads each unit: of each row [T, S], every line of which sums to 1.

        Raises:
            ValueError: it has no attention.
        """
        attention = self.attention
        if attention is None:
            raise ValueError("Decoder.alignment: it reads no memory; build it with an Attention.")
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
            return attention.weights(queries, body[place])


def summary_width(state: State) -> int:
    """F: how many numbers a row of a state holds."""
    return sum(math.prod(leaf.shape[1:]) for leaf in _numbers(state))


def summary_of(state: State) -> Tensor:
    """The numbers of a state side by side, those of all layers and directions, [B, F]."""
    return torch.cat([leaf.flatten(1) for leaf in _numbers(state)], 1)


def _filled(state: State, numbers: Tensor) -> tuple[State, Tensor]:
    """The state with numbers [B, F] in place of its own, and those that are left."""
    used = 0

    def fill(leaf: Tensor) -> Tensor:
        nonlocal used
        if not leaf.is_floating_point():
            return leaf
        start, used = used, used + math.prod(leaf.shape[1:])
        return numbers[:, start:used].reshape(leaf.shape)

    return states.map(fill, state), numbers[:, used:]


def _shifted(written: Tensor, before: Tensor, rows: Sequences) -> Tensor:
    """What was written at the step before each, [N, E]; before the first step of row b, `before[b]`."""
    shifted = torch.empty_like(written)
    shifted[1:] = written[:-1]
    first = rows.lengths > 0
    shifted[torch.from_numpy(rows.offsets[:-1][first])] = before[torch.from_numpy(first)]
    return shifted


def _numbers(state: State) -> Iterator[Tensor]:
    return (leaf for leaf in states.leaves(state) if leaf.is_floating_point())
