"""Stream of a classifier: pieces of a sequence in, class probabilities out."""

from typing import Any, NamedTuple

import numpy as np

from elman import state as states
from elman.data.rows_and_labels import as_rows, one_row
from elman.errors import located
from elman.html_tables import html_table
from elman.inputs import Inputs
from elman.network import Stepper
from elman.representation import brief, brief_fields, call, complete
from elman.state import State


@brief_fields
class StreamState(NamedTuple):
    """State of a `ClassifierStream`."""

    network: State
    probabilities: np.ndarray  # [1, C] float64


class ClassifierStream:
    """Reader of one sequence, piece by piece, which returns class probabilities.

    Args:
        stepper: stepper of the network, for one row, with probabilities as its output.
        inputs: the preprocessor.
        classes: [C] the labels.
        probabilities: [1, C] those of an empty sequence.
    Attributes:
        classes: [C] the labels.
        probabilities: [C] of each class, given all steps so far; before the first step, those of an empty sequence.
    """

    def __init__(self, stepper: Stepper, inputs: Inputs, classes: np.ndarray, probabilities: np.ndarray):
        self._stepper, self._inputs, self.classes = stepper, inputs, classes
        self._input = stepper.input if stepper.input.ndim == 1 else stepper.input[0]  # ids [1], features or a frame
        self._output = stepper.output[0]
        self._leaves = list(states.leaves(stepper.state))
        self._before = [leaf.copy() for leaf in self._leaves]  # the state before a piece
        self.probabilities = probabilities[0]

    @complete
    def __repr__(self) -> str:
        return call("ClassifierStream", f"{len(self.classes)} classes", f"label={brief(self.label)}",
                    f"probability={self.probabilities.max():.4g}")  # fmt: skip

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the class probabilities, for notebooks."""
        rows = zip(self.classes.tolist(), self.probabilities.tolist(), strict=True)
        return html_table(repr(self), rows, ["class", "probability"], len(self.classes))

    @property
    def state(self) -> StreamState:
        """Copy of the state, which can be assigned to a stream of the same model, also in another process.

        `elman.state.to_bytes(stream.state)` are its bytes, and `elman.state.from_bytes(data, stream.state)` reads them.
        """
        return StreamState(states.map(np.copy, self._stepper.state), self.probabilities[None].copy())

    @state.setter
    def state(self, state: StreamState) -> None:
        shape = (1, len(self.classes))
        if not isinstance(state, tuple) or len(state) != 2 or np.shape(state[1]) != shape:
            raise ValueError("ClassifierStream.state: expected the state of the network, and probabilities "
                             f"{list(shape)}, got {brief(state)}; it is the state of another model.")  # fmt: skip
        network, probabilities = state
        self._stepper.state = network
        self.probabilities = probabilities[0].copy()

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
            steps = self._inputs.encode_row(*as_rows("piece", one_row("piece", piece)))
        after = np.empty((len(steps), len(self.classes)))
        for before, leaf in zip(self._before, self._leaves, strict=True):
            before[...] = leaf
        try:
            for number, step in enumerate(steps):
                self._input[...] = step
                self._stepper()
                after[number] = self._output
            if not np.isfinite(after).all():
                raise ValueError("the logits are not finite")
        except ValueError as error:
            for before, leaf in zip(self._before, self._leaves, strict=True):
                leaf[...] = before
            raise ValueError(f"ClassifierStream.read: the piece is far outside the range of the training rows "
                             f"({error}); check its units. The state is unchanged.") from error  # fmt: skip
        if len(after):
            self.probabilities = after[-1].copy()
        return after
