"""Batches of whole documents, for full backpropagation through time."""

from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np

from elman.data.units.base import BOUNDARY
from elman.data.windows import Window, concatenated, epoch_generator, shuffled
from elman.representation import call, complete
from elman.sequences import Sequences


class DocumentBatches(Sequence[Window]):
    """Batches of whole documents. Each document is a row and starts from the initial state; slices are made on access.

    Args:
        documents: ids of each document, integers [n], without the boundary.
        steps: upper bound of the time steps of a batch; a longer document is a batch of its own.
        seed: seed of the order of the documents, which differs between epochs; None keeps their order.
    Raises:
        ValueError: there are no documents, an id is not above that of the boundary, or steps is below 1.
    Example:
        >>> batches = DocumentBatches([np.array([2, 3]), np.array([4]), np.array([5, 6, 7])], steps=5)
        >>> [batch.inputs.lengths.tolist() for batch in batches]
        [[3, 2], [4]]
    """

    def __init__(self, documents: Sequence[np.ndarray], steps: int, seed: int | None = None):
        if steps < 1:
            raise ValueError(f"DocumentBatches: expected steps of at least 1, got {steps}.")
        self.steps, self.seed = steps, seed
        self._set(concatenated("DocumentBatches", documents))

    def _set(self, text: np.ndarray) -> None:
        self.text = text
        self.boundaries = np.flatnonzero(text == BOUNDARY)  # document i: boundaries[i] to boundaries[i + 1]
        self.groups = [0]  # first document of each batch, and the number of documents
        while (start := self.groups[-1]) < len(self.boundaries) - 1:
            within = np.searchsorted(self.boundaries, self.boundaries[start] + self.steps, "right") - 1
            self.groups.append(max(start + 1, int(within)))

    @property
    def num_steps(self) -> int:
        """Number of targets of all batches together."""
        return len(self.text) - 1

    def epoch(self, number: int) -> Self:
        """Return the batches of one epoch: the same documents, shuffled and batched anew."""
        if self.seed is None:
            return self
        other = copy(self)
        other._set(shuffled(self.text, epoch_generator(self.seed, number)))
        return other

    @complete
    def __repr__(self) -> str:
        documents = f"{len(self.boundaries) - 1:,} documents"
        return call("DocumentBatches", f"{len(self):,} batches of up to {self.steps:,} steps", documents)

    def __len__(self) -> int:
        return len(self.groups) - 1

    def __getitem__(self, index: int) -> Window:  # type: ignore[override]  # no slices
        number = range(len(self))[index]
        boundaries = self.boundaries[self.groups[number] : self.groups[number + 1] + 1]
        text = self.text[boundaries[0] : boundaries[-1] + 1].astype(np.int64)
        lengths = np.diff(boundaries)
        return Window(Sequences(text[:-1], lengths), text[1:], np.full(len(lengths), -1), len(lengths))
