"""Pictures with what people say of them, as a captioner is trained and measured on them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from elman.sequences import Sequences
from elman.tasks.labelled import digest

AT_ONCE = 64  # pictures that an evaluation of the net holds at once


class Captioned(NamedTuple):
    """Pictures in numbers, and all captions of each, one after another."""

    pictures: np.ndarray  # [B, ...]
    units: Sequences  # ids of R captions
    counts: np.ndarray  # [B] captions of each picture

    @property
    def owners(self) -> np.ndarray:
        """[R] the picture of each caption."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def steps(self) -> np.ndarray:
        """[B] the units of all captions of a picture, their ends included."""
        return np.bincount(self.owners, self.units.lengths + 1, len(self.counts)).astype(np.int64)

    def select(self, rows: np.ndarray) -> "Captioned":
        """Some of the pictures, with their captions."""
        captions = Sequences(np.arange(len(self.units)), self.counts).select(rows)
        return Captioned(self.pictures[rows], self.units.select(captions.values), captions.lengths)

    def batches(self) -> "Iterator[tuple[np.ndarray, Captioned]]":
        """All of them, some at a time: their numbers, and they."""
        for start in range(0, len(self.counts), AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, len(self.counts)))
            yield rows, self.select(rows)

    def digest(self) -> str:
        """The same for the same pictures and captions in the same order."""
        return digest(self.units, self.pictures, self.counts)


def checked_captions(where: str, X: Sequence[Any], y: Sequence[Any], row: str = "row") -> list[list[str]]:
    """The captions of each picture, one at least."""
    for name, given in (("X", X), ("y", y)):
        if isinstance(given, str | bytes | Path):
            raise TypeError(f"{where}: expected {name} to be a list, got one {type(given).__name__}; put it in a list.")
    if len(X) != len(y):
        raise ValueError(f"{where}: expected captions of each of {len(X)} pictures, got {len(y)}.")
    captions = [[given] if isinstance(given, str) else list(given) for given in y]
    for number, of_one in enumerate(captions):
        if not of_one:
            raise ValueError(f"{row} {number}: a picture without captions; write one, or leave the picture out.")
        for text in of_one:
            if not isinstance(text, str):
                raise TypeError(f"{row} {number}: expected captions that are text, got {type(text).__name__}.")
            if not text.strip():
                raise ValueError(f"{row} {number}: a caption is empty; write one, or leave it out.")
    return captions
