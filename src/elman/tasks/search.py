"""How a task that writes looks for what to write."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from elman.data.units import UNKNOWN, Units
from elman.decoding import Constraints, Hypothesis, Sampling, Step, beam_search, coverage_penalty, greedy, sample
from elman.decoding.beam import Coverage
from elman.nearest import did_you_mean
from elman.sequences import Sequences
from elman.state import State

Encode = Callable[[Sequence[str]], Sequences]
AttentionWeights = Callable[
    [np.ndarray, list[np.ndarray]], list[np.ndarray]
]  # rows and units of hypotheses -> of each [T, S]


class Asked(NamedTuple):
    """What a batch of sources asks of a search."""

    step: Step
    state: State
    numbers: Sequence[int]  # [B] those of the rows, as they were given
    usual_length: Sequence[int]  # [B] units at most, unless said otherwise
    constraints: Constraints
    attention: AttentionWeights | None  # attention weights of hypotheses; None where it has no attention


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
        ValueError: a setting is out of range.
        TypeError: one is of another kind.
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
        for name in ("beam", "max_length", "min_length", "no_repeat_ngram"):
            if not isinstance(value := getattr(self, name), int | np.integer | None):
                raise TypeError(f"{name}: expected a whole number, got {value!r}.")
        texts = [*self.forbidden, *([] if isinstance(self.prefixes, str | None) else self.prefixes)]
        if isinstance(self.forbidden, str) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"forbidden, prefixes: expected lists of texts, got {self.forbidden!r}, {self.prefixes!r}.")
        if self.beam < 1:
            raise ValueError(f"beam: expected at least 1, got {self.beam}.")
        if not math.isfinite(self.length_penalty):
            raise ValueError(f"length_penalty: expected a finite number, got {self.length_penalty}.")
        if not 0 <= self.coverage < math.inf:
            raise ValueError(f"coverage: expected at least 0, got {self.coverage}.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Search":
        """That of options by name.

        Raises:
            TypeError: one is unknown.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise TypeError(f"{name}: unknown{did_you_mean(name, known)}")
        return cls(**options)

    def best(self, asked: Asked, n: int) -> list[list[Hypothesis]]:
        """The `n` best of each row."""
        begin, lengths = (asked.step, asked.state, len(asked.numbers)), self._longest(asked)
        coverage = self._coverage(asked) if self.coverage else None
        with _numbered(asked.numbers):
            if self.beam == n == 1 and coverage is None:
                found = greedy(*begin, max_length=lengths, constraints=asked.constraints)
                return [[self._ranked(one)] for one in found]
            return beam_search(
                *begin,
                beam=max(self.beam, n),
                n_best=n,
                max_length=lengths,
                length_penalty=self.length_penalty,
                coverage=coverage,
                constraints=asked.constraints,
            )

    def drawn(self, asked: Asked, sampling: Sampling, generator: np.random.Generator) -> list[list[Hypothesis]]:
        """One of each row, drawn."""
        begin = asked.step, asked.state, len(asked.numbers)
        with _numbered(asked.numbers):
            found = sample(*begin, sampling, generator, max_length=self._longest(asked), constraints=asked.constraints)
        return [[self._ranked(one)] for one in found]

    def _ranked(self, one: Hypothesis) -> Hypothesis:
        """With the score that a beam search gives it."""
        length = max(1, len(one.units) + one.finished)
        return one._replace(score=one.log_prob / length**self.length_penalty)

    def _longest(self, asked: Asked) -> int | Sequence[int]:
        """Units at most: where nothing is said, what is usual, with room for what must be written."""
        if self.max_length is not None:
            return self.max_length
        prefixes = asked.constraints.prefixes or [()] * len(asked.numbers)
        parts = zip(asked.usual_length, prefixes, strict=True)
        return [max(usual, self.min_length, len(prefix)) for usual, prefix in parts]

    def _coverage(self, asked: Asked) -> Coverage:
        if asked.attention is None:
            raise ValueError("coverage: cannot act without attention; leave it out.")
        attention = asked.attention
        return lambda rows, units: coverage_penalty(attention(rows, units), self.coverage)

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
            encode: texts to ids.
        Raises:
            ValueError: a text to forbid is not one unit, or the model has no unit for what is asked.
        """
        forbidden = list(never)
        for text in self.forbidden:
            ids = _known("forbidden", units, encode([text]).values, text)
            if len(ids) != 1:
                raise ValueError(f"forbidden: expected texts of one unit each, got {text!r}, which is {len(ids)}.")
            forbidden.append(int(ids[0]))
        prefixes = None
        if self.prefixes is not None:
            given = self.prefixes
            texts = [given] * len(rows) if isinstance(given, str) else [given[row] for row in rows]
            encoded = zip(encode(texts).to_list(), texts, strict=True)
            prefixes = [_known("prefixes", units, row, text).tolist() for row, text in encoded]
        return Constraints(tuple(forbidden), self.no_repeat_ngram, prefixes, self.min_length)


def _known(where: str, units: Units, ids: np.ndarray, text: str) -> np.ndarray:
    if units.has_unknown and (ids == UNKNOWN).any():
        raise ValueError(f"{where}: {text!r} holds what the model has no unit for; take another word.")
    return ids


@contextmanager
def _numbered(numbers: Sequence[int]) -> Iterator[None]:
    """What an error inside says of row 3 of a batch, it says of the row that was given."""
    try:
        yield
    except ValueError as error:
        told = re.fullmatch(r"row (\d+): (.*)", str(error), re.DOTALL)
        if told is None:
            raise
        raise ValueError(f"row {numbers[int(told[1])]}: {told[2]}") from error
