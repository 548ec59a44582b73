"""Search: how a task with a decoder finds the text to write."""

import math
from collections.abc import Callable, Mapping, Sequence
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
AttentionWeights = Callable[[np.ndarray, list[np.ndarray]], list[np.ndarray]]  # rows, units -> [T, S] of each


class Request(NamedTuple):
    """Batch of rows to find texts for."""

    step: Step
    state: State
    usual_lengths: Sequence[int]  # [B] units at most, unless the search has another limit
    constraints: Constraints
    attention: AttentionWeights | None  # of hypotheses; None without attention


@dataclass(frozen=True, kw_only=True)
class Search:
    """Beam search with constraints on its hypotheses.

    Args:
        beam: hypotheses that are kept at each step; 1 takes the most probable unit (greedy search).
        length_penalty: the score of a hypothesis of n units, the end included, is log-probability / n **
            length_penalty; 0 prefers short ones.
        coverage: penalty for source positions without attention: beta of Wu et al. (2016, arXiv:1609.08144).
        max_length: units at most; None for a limit that depends on the source.
        min_length: units at least.
        no_repeat_ngram: no run of this many units occurs twice; 0 for no limit.
        forbidden: texts of one unit each that are never written.
        prefixes: beginning of each target: one text per source, or one for all.
    Raises:
        ValueError: a setting is out of range.
        TypeError: a setting has the wrong type.
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
        """Return a search from options by name.

        Raises:
            TypeError: an option is unknown.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise TypeError(f"{name}: unknown{did_you_mean(name, known)}")
        return cls(**options)

    def best(self, request: Request, n: int) -> list[list[Hypothesis]]:
        """Return the `n` best hypotheses of each row."""
        begin, lengths = (request.step, request.state, len(request.usual_lengths)), self._longest(request)
        coverage = self._coverage(request) if self.coverage else None
        if self.beam == n == 1 and coverage is None:
            found = greedy(*begin, max_length=lengths, constraints=request.constraints)
            return [[self._ranked(one)] for one in found]
        return beam_search(
            *begin,
            beam=max(self.beam, n),
            n_best=n,
            max_length=lengths,
            length_penalty=self.length_penalty,
            coverage=coverage,
            constraints=request.constraints,
        )

    def drawn(self, request: Request, sampling: Sampling, generator: "np.random.Generator") -> list[list[Hypothesis]]:
        """Return one random hypothesis of each row."""
        begin = request.step, request.state, len(request.usual_lengths)
        lengths = self._longest(request)
        found = sample(*begin, sampling, generator, max_length=lengths, constraints=request.constraints)
        return [[self._ranked(one)] for one in found]

    def _ranked(self, one: Hypothesis) -> Hypothesis:
        """Return a hypothesis with the score that a beam search gives it."""
        length = max(1, len(one.units) + one.finished)
        return one._replace(score=one.log_prob / length**self.length_penalty)

    def _longest(self, request: Request) -> int | Sequence[int]:
        """Return the largest number of units: the setting, or the usual length if prefix and `min_length` fit in it."""
        if self.max_length is not None:
            return self.max_length
        prefixes = request.constraints.prefixes or [()] * len(request.usual_lengths)
        parts = zip(request.usual_lengths, prefixes, strict=True)
        return [max(usual, self.min_length, len(prefix)) for usual, prefix in parts]

    def _coverage(self, request: Request) -> Coverage:
        if request.attention is None:
            raise ValueError("coverage: has no effect without attention; leave it out.")
        attention = request.attention
        return lambda rows, units: coverage_penalty(attention(rows, units), self.coverage)

    def check_rows(self, rows: int) -> None:
        """Raise unless there is one prefix for each row, or one for all.

        Raises:
            ValueError: there are more or fewer.
        """
        if not isinstance(self.prefixes, str | None) and len(self.prefixes) != rows:
            raise ValueError(f"prefixes: expected one for each of {rows} rows, or one text for all, got "
                             f"{len(self.prefixes)}.")  # fmt: skip

    def constraints(self, units: Units, rows: np.ndarray, never: Sequence[int], encode: Encode) -> Constraints:
        """Return the constraints in units.

        Args:
            units: of the texts that are written.
            rows: numbers of the rows of this batch.
            never: units that are never written in any case.
            encode: texts to numbers of units.
        Raises:
            ValueError: a forbidden text is not one unit, or is not in the vocabulary.
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
        raise ValueError(f"{where}: {text!r} has a unit that is not in the vocabulary; use another word.")
    return ids
