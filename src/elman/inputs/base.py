"""Base of all kinds of inputs, which turn rows into numbers, and their settings."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from elman.errors import RowError, about_row
from elman.representation import call, complete
from elman.rows import Rows
from elman.sequences import Sequences
from elman.settings import Settings, check_range

OF_TEXT = "units", "lowercase", "vocabulary_size", "min_count", "word_dropout"
OF_NUMBERS = "noise", "step_dropout", "differences", "deviations"
OF_SKELETONS = ("turn",)
OF_FRAMES = ("shift",)


@dataclass(kw_only=True)
class InputSettings(Settings):
    """Settings of the inputs; the defaults give a good model.

    Args:
        inputs: kind of the rows: `text`, `series`, `skeletons`, `frames` or `pixels`; `auto` detects it.
        units: text is split into `words`, `characters`, `bytes` or `bpe` units.
        lowercase: convert text to lower case; None for words only.
        vocabulary_size: largest number of units of text; None for the default of the units.
        min_count: units of text seen fewer times are `<unk>`; None for 2 for words, and for the units' default.
        embedding_size: features of a unit of text (None for 256) or of a frame (None for 128).
        input_dropout: dropout rate of the features that the recurrent layers read, in training; None for 0.7 for words,
            to which networks overfit easily, and 0.3 for everything else.
        word_dropout: share of the units of text that are replaced by `<unk>` in training.
        noise: standard deviation of Gaussian noise added to numbers in training, in units of their own deviation.
        step_dropout: share of the steps of series, skeletons, frames and pixels that are left out in training.
        differences: append the difference from the previous step; None for skeletons and frames only.
        deviations: replace each step by its difference from the mean of its row so far. In videos this removes what
            does not move, such as the background, the person and the light.
        turn: standard deviation, in degrees, of random rotations of skeletons about each axis in training.
        shift: largest random translation of frames in training, in pixels.
    """

    network_settings: ClassVar[Sequence[str]] = ("units", "lowercase", "vocabulary_size", "min_count", "embedding_size",
                                                 "differences", "deviations")  # fmt: skip

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

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "embedding_size")
        check_range(self, 0, 1, "input_dropout", "word_dropout", "step_dropout")
        check_range(self, 0, math.inf, "noise", "turn", "shift")


class Inputs(ABC):
    """Preprocessor of a task: turns rows into numbers."""

    name: ClassVar[str]
    without_effect: ClassVar[tuple[str, ...]]  # settings that this kind does not use
    restored: bool = False  # from a model file, whose weights fit the width of its rows

    @complete
    def __repr__(self) -> str:
        return call(type(self).__name__, self.description)

    def steps(self, row: np.ndarray) -> list[str] | None:
        """Return the text of each step of an encoded row; None if steps are not text."""
        return None

    @abstractmethod
    def fit(self, rows: Sequence[Any], settings: InputSettings) -> Self:
        """Compute from the training rows all that `encode` needs.

        Raises:
            RowError: a row cannot be read.
            ValueError: all rows are empty.
        """

    def note_missing(self, rows: Sequence[Any]) -> None:  # noqa: B027  most kinds do nothing
        """Note, after `fit`, which values are missing in the held-out rows."""

    @abstractmethod
    def encode(self, rows: Sequence[Any]) -> Sequences:
        """Return rows as numbers (NumPy).

        Raises:
            RowError: a row cannot be read.
        """

    def encode_row(self, row: Any) -> np.ndarray:
        """Return one row as numbers, [T, *step_shape]; errors are about row 0."""
        values: np.ndarray = self.encode([row]).values
        return values

    @property
    @abstractmethod
    def step_shape(self) -> tuple[int, ...]:
        """Shape of an encoded step; `()` for an id."""

    @property
    def input_size(self) -> int:
        """Number of features of an encoded step, or of different ids."""
        return math.prod(self.step_shape)

    @property
    @abstractmethod
    def description(self) -> str:
        """Kind and size of the rows: `words, 14,820 different`."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return all that `restore` needs, as JSON, the name included."""

    @abstractmethod
    def restore(self, data: dict[str, Any]) -> Self:
        """Set what `to_json` wrote.

        Raises:
            ValueError: a part of the data is missing or wrong.
        """


class NumberInputs(Inputs):
    """Base of inputs whose rows are arrays of numbers, with steps of one shape."""

    axes: ClassVar[str]  # of a step, for errors
    shape: tuple[int, ...]  # of a step in training

    @abstractmethod
    def row(self, row: Any) -> np.ndarray:
        """Return one row as an array [T, *shape], checked."""

    @abstractmethod
    def scaled(self, values: np.ndarray, layout: Rows) -> np.ndarray:
        """Return standardised steps, [N, *step_shape] float32, of checked ones [N, *shape] in this layout.

        Raises:
            RowError: a value cannot be used.
        """

    def encode(self, rows: Sequence[Any]) -> Sequences:
        raw = self.raw(rows)
        return raw.with_values(self.scaled(raw.values, raw.layout))

    def encode_row(self, row: Any) -> np.ndarray:
        with about_row(0):
            values = self.row(row)
        self._check_shape(0, values, row, self.shape, alone=True)
        values = values if len(values) else np.zeros((0, *self.shape), np.float32)
        return self.scaled(values, one_row_of(len(values)))

    def raw(self, rows: Sequence[Any]) -> Sequences:
        """Return all rows, [N, *shape], checked."""
        given = []
        for number, row in enumerate(rows):
            with about_row(number):
                given.append(self.row(row))
        full = [row for row in given if len(row)]
        shape = getattr(self, "shape", (full or given or [np.zeros((0, 1))])[0].shape[1:])
        for number, row in enumerate(given):
            self._check_shape(number, row, rows[number], shape)
        return Sequences(np.concatenate([np.zeros((0, *shape), np.float32), *full]), [*map(len, given)])

    def _check_shape(
        self, number: int, row: np.ndarray, given: Any, shape: tuple[int, ...], alone: bool = False
    ) -> None:
        if len(row) and row.shape[1:] != shape:
            raise RowError(number, f"expected steps of shape [{self.axes}] = {list(shape)}, as in training, got "
                                   f"{_size(row, given, shape, alone)}.")  # fmt: skip


@lru_cache(maxsize=64)
def one_row_of(steps: int) -> Rows:
    """Return the layout of a single row."""
    return Rows([steps])


def _size(row: np.ndarray, given: Any, shape: tuple[int, ...], alone: bool) -> str:
    """Return the shape of the steps of a row, with the way out: a row may be a step, whose axis of time is missing.

    Args:
        alone: whether the row is not one of a list.
    """
    if np.ndim(given) == 1 and shape == (len(row),):
        series = "" if alone else "[x] for one series x [T, D], or "
        return f"[1] in a row of {len(row)} steps; write {series}x[None] for one step x [D]"
    return f"{list(row.shape[1:])}; give {'steps of that shape' if alone else 'rows of one size'}"
