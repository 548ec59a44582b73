"""Encoder-decoder networks (Sutskever et al. 2014, arXiv:1409.3215; Cho et al. 2014, arXiv:1406.1078)."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from elman import state as states
from elman.arrays import tensor
from elman.cells.spec import Names, names_in, spec_of, spec_of_part
from elman.data.units import BOUNDARY, shifted
from elman.layers import Decoder
from elman.losses import readout_loss
from elman.losses.readout_loss import chunks
from elman.network.encoder_decoder import BaseEncoderDecoder
from elman.network.spec import Spec
from elman.network.states import DecoderState
from elman.sequences import Sequences
from elman.state import State


class TeacherForcing(NamedTuple):
    """Training of a decoder on the reference units."""

    smoothing: float = 0.0  # of labels
    own: float = 0.0  # share of the inputs that are the decoder's own predictions


class EncoderDecoder(BaseEncoderDecoder, nn.Module):
    """Encoder, and a decoder that starts from its final state and attends to its output.

    Args:
        encoder: module from sources to its output, `Sequences` [M, D], and its final state. All numbers of that state,
            of all layers and directions, are the decoder's summary.
        decoder: module that writes units.
    """

    streams = False  # reads whole sequences

    def __init__(self, encoder: nn.Module, decoder: Decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def spec(self, names: Names | None = None) -> Spec:
        """Return the description that `elman.network` runs.

        Raises:
            NoSpec: a layer has no layer type in `elman.network`.
        """
        reads = spec_of_part(self, "encoder", names_in(self, names))["settings"]["input_size"]
        sizes = {"input_size": reads, "output_size": self.decoder.output_size}
        return spec_of(self, "encoder_decoder", names, "encoder", "decoder", **sizes)

    def encode(self, sources: Any) -> tuple[Sequences, State]:
        memory, final = self.encoder(sources.map(tensor) if isinstance(sources, Sequences) else tensor(sources))
        return memory, final

    def loss(
        self, state: DecoderState, units: Sequences, forcing: TeacherForcing | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of teacher forcing: the decoder reads the reference and predicts the next unit, or the end.

        Args:
            state: of each row, from `begin`.
            units: references, numbers of units [N] (NumPy), without the boundary.
            forcing: label smoothing and scheduled sampling; neither by default.
        Returns:
            the mean over the units in nats, and the log-probability of each, [N + B].
        """
        forcing = forcing or TeacherForcing()
        inputs, targets = shifted(units)
        if forcing.own:
            inputs = self._mixed(inputs, state, forcing.own)
        features, _ = self.decoder.features(inputs.map(torch.from_numpy), state)
        readout = self.decoder.readout
        wanted = torch.from_numpy(targets)
        return readout_loss(features.values, readout.weight, readout.bias, wanted, forcing.smoothing)

    def log_probs(self, state: DecoderState, inputs: Sequences, targets: np.ndarray) -> np.ndarray:
        """Return the log-probability of each target given the inputs up to its step, float32 [N]."""
        with torch.no_grad():
            features, _ = self.decoder.features(inputs.map(torch.from_numpy), state)
            readout = self.decoder.readout
            return readout_loss(features.values, readout.weight, readout.bias, torch.from_numpy(targets))[1].numpy()

    def step(self, ids: np.ndarray, state: State) -> tuple[Tensor, State]:
        """Return the logits of the next unit and the new state, as `elman.decoding` needs them."""
        with torch.no_grad():
            return self.decoder.step(torch.from_numpy(ids), state)

    def _mixed(self, inputs: Sequences, state: DecoderState, own: float) -> Sequences:
        """Return the inputs with a random share replaced by the decoder's predictions after reading the reference."""
        with torch.no_grad():
            features, _ = self.decoder.features(inputs.map(torch.from_numpy), states.detach(state))
            parts = chunks(len(inputs.rows), self.decoder.output_size)
            predicted = np.concatenate(
                [self.decoder.readout.apply_to(features.values[part]).argmax(-1).numpy() for part in parts]
            )
        taken = (torch.rand(len(predicted)).numpy() < own) & (inputs.times > 0)
        before = np.concatenate([[BOUNDARY], predicted[:-1]])
        return inputs.map(lambda ids: np.where(taken & (before != BOUNDARY), before, ids))
