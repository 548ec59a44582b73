"""The net of a classifier: what reads the inputs, recurrent layers, a pooling, a read-out."""

from typing import cast

import torch
from torch import Tensor

from elman.layers import Linear, Stack
from elman.layers.pooling import POOLINGS, Pooling
from elman.nearest import did_you_mean
from elman.sequences import Sequences
from elman.tasks.inputs.base import Inputs
from elman.tasks.recurrent import RecurrentSettings


class ClassifierNet(Stack):
    """A stack of a body, a pooling and a read-out: as a cell it writes its logits after every step.

    Shapes:
        scan: Sequences of what the inputs encode   ->   logits [N, C] of the rows so far
        classify: the same   ->   logits [B, C] of the whole rows
    """

    def __init__(self, body: Stack, pooling: Pooling, readout: Linear):
        super().__init__(body, pooling, readout)

    @property
    def readout(self) -> Linear:
        return cast(Linear, self.cells[2])

    def classify(self, sequences: Sequences) -> Tensor:
        """The logits after the last step of each row, [B, C]."""
        body, pooling, readout = self.cells
        features, _ = body(sequences)
        return cast(Linear, readout).apply_to(cast(Pooling, pooling).pool(features))


def classifier_net(
    inputs: Inputs, recurrent: RecurrentSettings, *, bidirectional: bool, pooling: str, num_classes: int
) -> ClassifierNet:
    """The net for `inputs`; the settings are those of `Classifier`.

    Raises:
        ValueError: a setting that is unknown or cannot act.
    """
    if pooling not in POOLINGS:
        hint = did_you_mean(pooling, POOLINGS)
        raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}, got {pooling!r}{hint}")
    if recurrent.variational and not recurrent.dropout:
        raise ValueError("variational: cannot act without dropout; set dropout=0.3, say.")
    front = inputs.layers()
    size = front[-1].output_size if front else inputs.width
    layers = recurrent.recurrent_layers(size, bidirectional=bidirectional)
    width = layers.output_size
    summary = POOLINGS[pooling](width, width // 2 if bidirectional and pooling == "last" else 0)
    readout = Linear(width, num_classes)
    torch.nn.init.zeros_(readout.weight)
    net = ClassifierNet(Stack(*front, *layers), summary, readout)
    recurrent.initialize(net)
    return net
