"""How a task that writes looks for what to write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from elman.data.units import Units
from elman.decoding import Constraints, Hypothesis, Sampling, Step, beam_search, coverage_penalty, greedy, sample
from elman.decoding.beam import Coverage
from elman.sequences import Sequences
from elman.state import State

Encode = Callable[[Units, Sequence[str]], Sequences]
Looks = Callable[[np.ndarray, list[np.ndarray]], list[np.ndarray]]  # rows and units of hypotheses -> of each [T, S]


class Asked(NamedTuple):
    """What a batch of sources asks of a search."""

    step: Step
    state: State
    rows: int
    usual_length: Sequence[int]  # [B] units at most, unless said otherwise
    constraints: Constraints
    looks: Looks | None  # where the decoder looks; None where it has no attention


@dataclass(frozen=True, kw_only=True)
class Search:
    """A beam search, and what its hypotheses may hold.

    Args:
        beam: hypotheses that are followed side by side; 1 takes the likeliest unit at every step.
        length_penalty: a hypothesis of n units, the end included, is ranked by log-probability / n ** length_penalty;
            0 prefers short ones.
        coverage: what it costs to leave parts of the source unread: beta of Wu et al. (2016, arXiv:1609.08144).
        max_length: units at most; None for what is usual of sources of that length.
        min_length: units at least.
        no_repeat_ngram: no run of so many units stands twice; 0 allows all.
        forbidden: texts of one unit each that are never written.
        prefixes: what each target begins with: a text for each source, or one for all.
    Raises:
        ValueError: a beam below 1.
    """

    beam: int = 5
    length_penalty: float = 1.0
    coverage: float = 0.0
    max_length: int | None = None
    min_length: int = 0
    no_repeat_ngram: int = 0
    forbidden: Sequence[str] = ()
    prefixes: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise ValueError(f"beam: expected at least 1, got {self.beam}.")

    def best(self, asked: Asked, n: int) -> list[list[Hypothesis]]:
        """The `n` best of each row."""
        lengths = self._longest(asked)
        if self.beam == n == 1:
            return [[one] for one in greedy(*asked[:3], max_length=lengths, constraints=asked.constraints)]
        return beam_search(
            *asked[:3],
            beam=max(self.beam, n),
            n_best=n,
            max_length=lengths,
            length_penalty=self.length_penalty,
            coverage=self._coverage(asked) if self.coverage else None,
            constraints=asked.constraints,
        )

    def drawn(self, asked: Asked, sampling: Sampling, generator: np.random.Generator) -> list[list[Hypothesis]]:
        """One of each row, drawn."""
        lengths = self._longest(asked)
        found = sample(*asked[:3], sampling, generator, max_length=lengths, constraints=asked.constraints)
        return [[one] for one in found]

    def _longest(self, asked: Asked) -> int | Sequence[int]:
        """Units at most: where nothing is said, what is usual, with room for what must be written."""
        if self.max_length is not None:
            return self.max_length
        prefixes = asked.constraints.prefixes or [()] * asked.rows
        parts = zip(asked.usual_length, prefixes, strict=True)
        return [max(usual, self.min_length, len(prefix)) for usual, prefix in parts]

    def _coverage(self, asked: Asked) -> Coverage:
        if asked.looks is None:
            raise ValueError("coverage: cannot act without attention; leave it out.")
        looks = asked.looks
        return lambda rows, units: coverage_penalty(looks(rows, units), self.coverage)

    def check_rows(self, rows: int) -> None:
        """Raise unless what is said of each row is said of as many.

        Raises:
            ValueError: it is not.
        """
        if not isinstance(self.prefixes, str | None) and len(self.prefixes) != rows:
            raise ValueError(f"prefixes: expected one for each of {rows} rows, or one text for all, got "
                             f"{len(self.prefixes)}.")  # fmt: skip

    def constraints(self, units: Units, rows: np.ndarray, never: Sequence[int], encode: Encode) -> Constraints:
        """In units.

        Args:
            rows: the numbers of the rows that are searched.
            never: units that are never written anyway.
        Raises:
            ValueError: a text to forbid is not one unit.
        """
        forbidden = list(never)
        for text in self.forbidden:
            ids = encode(units, [text]).values
            if len(ids) != 1:
                raise ValueError(f"forbidden: expected texts of one unit each, got {text!r}, which is {len(ids)}.")
            forbidden.append(int(ids[0]))
        prefixes = None
        if self.prefixes is not None:
            given = self.prefixes
            texts = [given] * len(rows) if isinstance(given, str) else [given[row] for row in rows]
            prefixes = [row.tolist() for row in encode(units, texts).to_list()]
        return Constraints(tuple(forbidden), self.no_repeat_ngram, prefixes, self.min_length)
