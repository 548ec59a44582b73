"""Network of the classifier without PyTorch."""

import numpy as np

from elman.network.containers import Stack
from elman.network.pointwise import Linear
from elman.network.pooling import Pooling
from elman.network.spec import LayerSpec
from elman.sequences import Sequences


class ClassifierNet(Stack):
    """Stack of a body, a pooling and a linear read-out. As a cell it returns the logits after every step."""

    kind = "classifier"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(len(self.cells) == 3, "3 cells", len(self.cells))
        self.body, self.pooling, self.readout = self.cells
        spec.check(isinstance(self.pooling, Pooling), "a pooling as cell 1", self.pooling.kind)
        spec.check(isinstance(self.readout, Linear), "a linear layer as cell 2", self.readout.kind)

    def classify(self, sequences: Sequences) -> np.ndarray:
        """Return the logits after the last step of each row, [B, C]."""
        features, _ = self.body.scan(sequences)
        logits: np.ndarray = self.readout.apply_to(self.pooling.pool(features))
        return logits
