"""Stream of a classifier: pieces of a sequence in, class probabilities out."""

from typing import Any, NamedTuple

import numpy as np

from elman.data.rows_and_labels import as_rows, one_row
from elman.errors import located
from elman.html_tables import html_table
from elman.inputs import Inputs
from elman.network import Layer
from elman.representation import brief, brief_fields, call, complete
from elman.runtime.stream import Stream
from elman.state import State


@brief_fields
class ClassifierState(NamedTuple):
    """State of a `ClassifierStream`."""

    network: State
    probabilities: np.ndarray  # [1, C] float64


class ClassifierStream(Stream):
    """Reader of one sequence, piece by piece, which returns class probabilities.

    Args:
        layer: the network, from steps to logits.
        inputs: the preprocessor.
        classes: [C] the labels.
        probabilities: [1, C] those of an empty sequence.
    Attributes:
        classes: [C] the labels.
        probabilities: [C] of each class, given all steps so far; before the first step, those of an empty sequence.
    """

    def __init__(self, layer: Layer, inputs: Inputs, classes: np.ndarray, probabilities: np.ndarray):
        super().__init__(layer, "probs")
        self._inputs, self.classes = inputs, classes
        self._beginning = ClassifierState(self._network_state(), probabilities)
        self.reset()

    @complete
    def __repr__(self) -> str:
        return call("ClassifierStream", f"{len(self.classes)} classes", f"label={brief(self.label)}",
                    f"probability={self.probabilities.max():.4g}")  # fmt: skip

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the class probabilities, for notebooks."""
        rows = zip(self.classes.tolist(), self.probabilities.tolist(), strict=True)
        return html_table(repr(self), rows, ["class", "probability"], len(self.classes))

    def _state(self) -> ClassifierState:
        return ClassifierState(self._network_state(), self.probabilities[None].copy())

    def _restore(self, state: ClassifierState) -> None:
        self._stepper.state = state.network
        self.probabilities = state.probabilities[0].copy()

    @property
    def label(self) -> Any:
        """Most probable class, given all steps so far."""
        return self.classes[self.probabilities.argmax()]

    def read(self, piece: Any) -> np.ndarray:
        """Read a piece of the row, of one or more steps (of a text: whole words).

        Skeletons are divided by the size of the body in their piece, so reading them in pieces is not exact.

        Returns:
            the probabilities after each of its steps, [T, C].
        Raises:
            TypeError, ValueError: the piece cannot be read; the state is unchanged.
        """
        with located(["ClassifierStream.read"]):
            row = piece if type(piece) is np.ndarray else as_rows("piece", one_row("piece", piece))[0]
            steps = self._inputs.encode_row(row)
        after = np.empty((len(steps), len(self.classes)))
        self._keep()
        try:
            for number, step in enumerate(steps):
                self._input[...] = step
                self._stepper()
                after[number] = self._output
            if not np.isfinite(after).all():
                raise ValueError("the logits are not finite")
        except ValueError as error:
            self._go_back()
            raise ValueError(f"ClassifierStream.read: the piece is far outside the range of the training rows "
                             f"({error}); check its units. The state is unchanged.") from error  # fmt: skip
        if len(after):
            self.probabilities = after[-1].copy()
        return after
