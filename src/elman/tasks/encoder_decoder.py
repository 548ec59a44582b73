"""An encoder reads, a decoder writes (Sutskever et al. 2014, arXiv:1409.3215; Cho et al. 2014, arXiv:1406.1078)."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elman import state as states
from elman.data.units import BOUNDARY
from elman.layers import Decoder
from elman.layers.decoder import DecoderState, summary_of
from elman.losses import readout_loss
from elman.losses.readout_loss import chunks
from elman.memory import Memory
from elman.sequences import Sequences
from elman.state import State


class TeacherForcing(NamedTuple):
    """How the decoder is taught."""

    smoothing: float = 0.0  # of labels
    own: float = 0.0  # the part of the units that it reads from itself


class EncoderDecoder(nn.Module):
    """A decoder that begins with what an encoder has read, and attends to it.

    Args:
        encoder: a module from sources to what it writes of them, `Sequences` [M, D], and a final state. The numbers of
            that state together are the decoder's summary, those of all layers and directions.
        decoder: what writes.
    """

    def __init__(self, encoder: nn.Module, decoder: Decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def begin(self, sources: Any, rows: np.ndarray | None = None) -> DecoderState:
        """The decoder's state before it has written anything.

        Args:
            rows: [B] the source of each row, which several may share; without, each source has one row.
        """
        memory, final = self.encoder(sources)
        summary = summary_of(final) if self.decoder.summary_size else None
        if summary is not None and rows is not None:
            summary = states.select(summary, rows)
        return self.decoder.initial_state(len(memory) if rows is None else len(rows), Memory(memory, rows), summary)

    def loss(
        self, state: DecoderState, units: Sequences, forcing: TeacherForcing | None = None
    ) -> tuple[Tensor, Tensor]:
        """Teacher forcing: the decoder reads the truth, and says what comes next, the end included.

        Args:
            state: that of each row before it begins.
            units: what is to be written, ids [N] (NumPy), without the boundary.
        Returns:
            the mean over the units, in nats, and the log-probability of each, [N + B].
        """
        forcing = forcing or TeacherForcing()
        inputs, targets = shifted(units)
        if forcing.own:
            inputs = self._mixed(inputs, state, forcing.own)
        features, _ = self.decoder.features(inputs.map(torch.from_numpy), state)
        readout = self.decoder.readout
        wanted = torch.from_numpy(targets)
        return readout_loss(features.values, readout.weight, readout.bias, wanted, forcing.smoothing)

    def log_probs(self, state: DecoderState, units: Sequences) -> np.ndarray:
        """The log-probability of each row, its end included, float64 [B]."""
        with torch.no_grad():
            _, each = self.loss(state, units)
        rows = np.repeat(np.arange(len(units)), units.lengths + 1)
        return np.bincount(rows, each.double().numpy(), len(units))

    def step(self, ids: np.ndarray, state: State) -> tuple[Tensor, State]:
        """What `elman.decoding` asks: the logits of what comes next."""
        with torch.no_grad():
            return self.decoder.step(torch.from_numpy(ids), state)

    def attention_weights(self, state: DecoderState, rows: np.ndarray, units: list[np.ndarray]) -> list[np.ndarray]:
        """Where the decoder looks when it writes units and the end: of each [T + 1, S].

        Args:
            state: of rows before they begin.
            rows: which of them writes each of the units.
        """
        inputs, _ = shifted(Sequences.from_list(units))
        return self.decoder.alignment(inputs.map(torch.from_numpy), states.select(state, rows))

    def spec(self) -> None:
        """`elman.runtime` runs what streams; this reads the whole of a source first."""

    def _mixed(self, inputs: Sequences, state: DecoderState, own: float) -> Sequences:
        """The inputs, a part of them in the decoder's own words: what it says where it reads the truth throughout."""
        with torch.no_grad():
            features, _ = self.decoder.features(inputs.map(torch.from_numpy), states.detach(state))
            parts = chunks(len(inputs.rows), self.decoder.output_size)
            said = np.concatenate(
                [self.decoder.readout.apply_to(features.values[part]).argmax(-1).numpy() for part in parts]
            )
        taken = (torch.rand(len(said)).numpy() < own) & (inputs.times > 0)
        before = np.concatenate([[BOUNDARY], said[:-1]])
        return inputs.map(lambda ids: np.where(taken & (before != BOUNDARY), before, ids))


def shifted(units: Sequences) -> tuple[Sequences, np.ndarray]:
    """What a decoder reads, the boundary and then all units, and what it is to say: the units and then the boundary."""
    lengths = units.lengths + 1
    first = np.cumsum(lengths) - lengths
    inputs = np.full(int(lengths.sum()), BOUNDARY, np.int64)
    targets = inputs.copy()
    place = first[units.rows] + units.times
    inputs[place + 1], targets[place] = units.values, units.values
    return Sequences(inputs, lengths), targets
