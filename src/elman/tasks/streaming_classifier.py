"""What a classifier believes while a sequence comes in."""

from typing import Any

import numpy as np
import torch

from elman.sequences import Sequences
from elman.state import State
from elman.tasks.classifier_net import ClassifierNet
from elman.tasks.inputs.base import Inputs


class StreamingClassifier:
    """A reader in the middle of a sequence: pieces of it go in, probabilities come out.

    Attributes:
        classes: [C] the labels.
        probabilities: [C] of each class, from all that was read; before the first step, what an empty sequence gets.
        state: a value; keep it and put it back to try how the sequence could go on.
    """

    def __init__(self, net: ClassifierNet, inputs: Inputs, classes: np.ndarray):
        self.net, self.inputs, self.classes = net, inputs, classes
        self.state: State = net.initial_state(1)
        nothing = Sequences(torch.from_numpy(inputs.encode([]).values), [0])
        with torch.no_grad():
            self.probabilities = _softmax(net.classify(nothing))[0]

    def read(self, piece: Any) -> np.ndarray:
        """Go on with a piece of the row, of one or more steps (of a text: whole words).

        Skeletons are divided by the size of the bodies in their piece, so pieces of a few frames do not quite add up.

        Returns:
            [T, C] the probabilities after each of its steps.
        Raises:
            TypeError, ValueError: what cannot be read; the belief is as it was.
        """
        steps = self.inputs.encode([piece], ["StreamingClassifier.read"]).map(torch.from_numpy)
        with torch.no_grad():
            logits, self.state = self.net(steps, self.state)
        after = _softmax(logits.values)
        self.probabilities = after[-1] if len(after) else self.probabilities
        return after

    @property
    def label(self) -> Any:
        """The most probable class so far."""
        return self.classes[self.probabilities.argmax()]


def _softmax(logits: torch.Tensor) -> np.ndarray:
    return logits.double().softmax(-1).numpy()
