"""Full backpropagation through time as data: whole documents, side by side."""

from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np

from elman.data.units.base import BOUNDARY
from elman.data.windows import Window, epoch_generator, lay, shuffled
from elman.sequences import Sequences


class Batches(Sequence[Window]):
    """Batches of whole documents, a row each, every row from the initial state; cut out when they are asked for.

    Args:
        documents: ids of each document, integers [n], without the boundary.
        steps: of a batch at most, unless a single document has more.
    Raises:
        ValueError: no documents, an id that is not above the boundary's, or steps below 1.
    Example:
        >>> batches = Batches([np.array([2, 3]), np.array([4]), np.array([5, 6, 7])], steps=5)
        >>> [batch.inputs.lengths.tolist() for batch in batches]
        [[3, 2], [4]]
    """

    def __init__(self, documents: Sequence[np.ndarray], steps: int):
        if steps < 1:
            raise ValueError(f"Batches: expected steps of at least 1, got {steps}.")
        self.steps = steps
        self._set(lay("Batches", documents))

    def _set(self, text: np.ndarray) -> None:
        self.text = text
        self.boundaries = np.flatnonzero(text == BOUNDARY)  # document i: boundaries[i] to boundaries[i + 1]
        self.groups = [0]  # documents at which the batches start, and the end
        while (start := self.groups[-1]) < len(self.boundaries) - 1:
            within = np.searchsorted(self.boundaries, self.boundaries[start] + self.steps, "right") - 1
            self.groups.append(max(start + 1, int(within)))

    @property
    def num_steps(self) -> int:
        """Targets of all batches together."""
        return len(self.text) - 1

    def epoch(self, number: int, seed: int) -> Self:
        """The same documents for one epoch, in another order and in other company."""
        other = copy(self)
        other._set(shuffled(self.text, epoch_generator(seed, number)))
        return other

    def __len__(self) -> int:
        return len(self.groups) - 1

    def __getitem__(self, index: int) -> Window:  # type: ignore[override]  # no slices
        number = range(len(self))[index]
        boundaries = self.boundaries[self.groups[number] : self.groups[number + 1] + 1]
        text = self.text[boundaries[0] : boundaries[-1] + 1].astype(np.int64)
        lengths = np.diff(boundaries)
        return Window(Sequences(text[:-1], lengths), text[1:], np.full(len(lengths), -1))
