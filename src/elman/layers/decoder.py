"""Decoder: generates one unit after another from a source (Sutskever et al. 2014, arXiv:1409.3215)."""

from collections.abc import Mapping

import numpy as np
import torch

from elman.arrays import tensor
from elman.cells.module import CellModule
from elman.layers.linear import Linear
from elman.layers.output_feedback import OutputFeedback
from elman.layers.stack import Stack
from elman.network.decoder import BaseDecoder, summary_width
from elman.network.spec import Spec
from elman.network.states import DecoderState
from elman.sequences import Sequences


class Decoder(BaseDecoder, CellModule):
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

    kind = "decoder"

    def __init__(self, embedding: Stack, body: Stack | OutputFeedback, readout: Linear, summary_size: int = 0):
        super().__init__()
        self.input_size, self.output_size, self.summary_size = embedding.input_size, readout.output_size, summary_size
        self.step_axes = embedding.step_axes
        self.embedding, self.body, self.readout = embedding, body, readout
        width = summary_width(self.stack.initial_state(0))
        self.bridge = Linear(summary_size, width) if summary_size else None

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        bridge = ["bridge"] if self.bridge is not None else []
        return self.spec_of(names, "embedding", "body", "readout", *bridge)

    def streams_natively(self) -> bool:
        return False  # the arrays of a stepper have fixed sizes, and memories differ in size

    def alignment(self, ids: Sequences, state: DecoderState) -> list[np.ndarray]:
        with torch.no_grad():
            return super().alignment(ids.map(tensor), state)
