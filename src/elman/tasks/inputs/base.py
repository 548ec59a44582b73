"""What all kinds of inputs do: fit, encode, spoil what training sees, give the layers that read them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch

from elman.cells import CellModule
from elman.sequences import Sequences

OF_TEXT = "units", "lowercase", "vocabulary_size", "min_count", "word_dropout"
OF_NUMBERS = "noise", "step_dropout", "differences", "deviations"
OF_SKELETONS = ("turn",)
OF_FRAMES = ("shift",)


@dataclass(kw_only=True)
class InputSettings:
    """What a row is made of, and how the net reads it; the defaults give a good model.

    Args:
        inputs: `text`, `series`, `skeletons`, `frames` or `pixels`; `auto` looks at the first row.
        units: of text: `words`, `characters`, `bytes` or `bpe`.
        lowercase: of text: whether upper case is read as lower case; None: of words only.
        vocabulary_size: of text: at most so many units; None for the default of the units.
        min_count: of text: units seen fewer times are `<unk>`; None for 2 of words, and for the default of other units.
        embedding_size: of text: features of a unit, None for 256; of frames: features of a frame, None for 128.
        input_dropout: of the features of each step that the recurrent layers read, while training; None for 0.7 of
            words, which a net soon knows by heart, and 0.3 of everything else.
        word_dropout: of text: units that are read as `<unk>` while training, as a part of all.
        noise: of numbers: standard deviation of what is added to them while training, where theirs is 1.
        step_dropout: of numbers: steps that are left out while training, as a part of all.
        differences: of numbers: also read the difference to the step before; None: of skeletons and frames.
        deviations: of numbers: read how each step differs from the mean of its row so far, in its place: of frames it
            takes away the face and the light, and all else that stays the same.
        turn: of skeletons: degrees by which a row is turned about each axis while training, their standard deviation.
        shift: of frames: pixels by which a row is moved while training, up or down and left or right, at most.
    """

    inputs: str = "auto"
    units: str = "words"
    lowercase: bool | None = None
    vocabulary_size: int | None = None
    min_count: int | None = None
    embedding_size: int | None = None
    input_dropout: float | None = None
    word_dropout: float = 0.1
    noise: float = 0.0
    step_dropout: float = 0.0
    differences: bool | None = None
    deviations: bool = False
    turn: float = 15.0
    shift: int = 2


class Inputs(ABC):
    """The preprocessor of a task: rows in, what the layers that it gives can read out."""

    name: ClassVar[str]
    idle: ClassVar[tuple[str, ...]]  # settings that cannot act on it

    def __init__(self, settings: InputSettings):
        self.settings = settings

    def steps(self, row: np.ndarray) -> list[str] | None:
        """The text of each step of a row as it is encoded; None where steps are no text."""
        return None

    @property
    def input_dropout(self) -> float:
        """Of the features that the recurrent layers read."""
        return 0.3 if self.settings.input_dropout is None else self.settings.input_dropout

    @abstractmethod
    def fit(self, rows: Sequence[Any], names: Sequence[str] = ()) -> Self:
        """Learn from the rows of the training part what `encode` needs.

        Args:
            names: what errors call the rows; without, `row 0`, `row 1`, ...
        Raises:
            TypeError, ValueError: a row that cannot be read, or rows from which nothing can be learnt.
        """

    def note_missing(self, rows: Sequence[Any], names: Sequence[str] = ()) -> None:  # noqa: B027  most note nothing
        """After `fit`: note which values can be missing, in rows from which nothing else is learnt."""

    @abstractmethod
    def encode(self, rows: Sequence[Any], names: Sequence[str] = ()) -> Sequences:
        """Rows as people have them, as NumPy numbers.

        Raises:
            TypeError, ValueError: a row that cannot be read; the message says which.
        """

    def spoil(self, sequences: Sequences) -> Sequences:
        """What training reads in their place, in PyTorch: drawn from its generator."""
        return sequences

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers a step of what `encode` gives."""

    @abstractmethod
    def layers(self) -> list[CellModule]:
        """New layers that read them; none where the recurrent layers can."""

    @property
    @abstractmethod
    def says(self) -> str:
        """What it makes of a row, for people: `words, 14,820 different`."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All that `restore` needs, in plain JSON, its name among it."""

    @abstractmethod
    def restore(self, data: dict[str, Any]) -> Self:
        """Be what `to_json` wrote."""


def row_name(names: Sequence[str], number: int) -> str:
    """What errors call a row."""
    return names[number] if names else f"row {number}"


def without_steps(sequences: Sequences, part: float) -> Sequences:
    """The rows without that part of their steps, at random; no row is left without any."""
    keep = torch.rand(sequences.num_steps).numpy() >= part
    lengths = sequences.lengths
    starts = sequences.offsets[:-1][lengths > 0]
    empty = np.add.reduceat(keep, starts) == 0 if len(starts) else np.zeros(0, bool)
    keep[starts[empty]] = True
    steps = torch.from_numpy(np.flatnonzero(keep))
    return Sequences(sequences.values[steps], np.bincount(sequences.rows[keep], minlength=len(lengths)))
