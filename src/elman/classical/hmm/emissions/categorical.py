"""A symbol of an alphabet, with probabilities of its own in each state."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from elman.classical.checks import distribution
from elman.classical.hmm.emissions.emission import DEAD, Emission, buffer, warn_of_few
from elman.classical.hmm.inputs import counts
from elman.classical.rows import place
from elman.sequences import Sequences


class Symbols(NamedTuple):
    """What `Categorical.read` gives."""

    ids: np.ndarray  # [N] int64; where one is missing, the number of symbols
    num_symbols: int


class Categorical(Emission):
    """p(x = v | k) = probs[k, v] for the symbols v from 0 to V - 1.

    Args:
        num_symbols: V; without, the largest symbol in training and one.
        prior: of a Dirichlet distribution on the probabilities of each state, at least 1. Of 1 none; of 1 + c, as if
            every symbol had been seen c times more in every state, so that none is impossible.
    Shapes:
        x: [N] integers, or float64 with NaN where one is missing
    Attributes:
        probs_: [K, V], every row adds up to one.
    Raises:
        TypeError, ValueError: x are no symbols; one is new, or impossible in every state; a setting is out of range.
    Example:
        >>> dice = Categorical.from_parameters(np.array([[0.5, 0.5], [0.1, 0.9]]))
        >>> np.exp(dice.log_prob(dice.read("here", Sequences(np.array([1, 0]), [2]))))
        array([[0.5, 0.9],
               [0.5, 0.1]])
    """

    probs_: np.ndarray

    def __init__(self, num_symbols: int | None = None, prior: float = 1.0):
        if num_symbols is not None and num_symbols < 1:
            raise ValueError(f"Categorical: expected num_symbols of at least 1, got {num_symbols}.")
        if not prior >= 1:
            raise ValueError(f"Categorical: expected a prior of at least 1, which is none, got {prior}.")
        self.num_symbols, self.prior = num_symbols, prior

    @classmethod
    def from_parameters(cls, probs: Any, prior: float = 1.0) -> Self:
        """With known probabilities [K, V]."""
        probs = distribution("Categorical", "probs", probs, "K V")
        return cls(probs.shape[1], prior).with_parameters(probs_=probs)

    @property
    def settings(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {"num_symbols": self.num_symbols, "prior": self.prior}

    @property
    def num_states(self) -> int:
        """K."""
        return len(self.probs_)

    def read(self, where: str, x: Sequences, u: np.ndarray | None = None) -> Symbols:
        """Symbols as ids; what is missing as one symbol more."""
        known = self.probs_.shape[1] if hasattr(self, "probs_") else self.num_symbols
        values = counts(where, x, "N", below=known)
        missing = np.isnan(values)
        size = known if known is not None else int(np.nanmax(values, initial=-1)) + 1
        ids = np.where(missing, size, values).astype(np.int64)
        if hasattr(self, "probs_"):
            impossible = np.append(~(self.probs_ > 0).any(0), False)[ids]
            if impossible.any():
                step = int(np.argmax(impossible))
                raise ValueError(f"{where}: symbol {ids[step]} in {place(x, step)} has probability zero in every "
                                 "state: it was never seen in training; fit with a prior above 1.")  # fmt: skip
        return Symbols(ids, size)

    def log_prob(self, data: Symbols, out: np.ndarray | None = None) -> np.ndarray:
        """[N, K]."""
        with np.errstate(divide="ignore"):
            table = np.vstack([np.log(self.probs_).T, np.zeros(self.num_states)])  # [V + 1, K]
        return np.take(table, data.ids, axis=0, out=buffer(out, len(data.ids), self.num_states), mode="clip")

    def initialise(self, where: str, data: Symbols, num_states: int, rng: np.random.Generator) -> Self:
        """The frequencies of all symbols, each state's disturbed at random."""
        seen = np.bincount(data.ids, minlength=data.num_symbols + 1)[: data.num_symbols]
        if not seen.any():
            raise ValueError(f"{where}: expected observations, got none: all are missing.")
        warn_of_few(where, int((seen > 0).sum()), num_states)
        noise = rng.gamma(2.0, size=(num_states, data.num_symbols)) + 0.1
        probs = (seen + (self.prior - 1)) * noise
        return self.with_parameters(probs_=probs / probs.sum(1, keepdims=True))

    def m_step(self, data: Symbols, posterior: np.ndarray) -> Self:
        """Expected counts and what the prior adds, divided by their sum."""
        expected = self.expected_counts(data, posterior)
        alive = expected.sum(1) >= DEAD
        probs = np.where(alive[:, None], expected + (self.prior - 1), self.probs_)
        return self.with_parameters(probs_=probs / probs.sum(1, keepdims=True))

    def expected_counts(self, data: Symbols, posterior: np.ndarray) -> np.ndarray:
        """Return how often each symbol is expected in each state, [K, V]."""
        size = self.probs_.shape[1]
        return np.stack([np.bincount(data.ids, column, size + 1)[:size] for column in posterior.T])

    def log_prior(self) -> float:
        """Of the Dirichlet distributions, up to a constant."""
        return float((self.prior - 1) * np.log(self.probs_).sum()) if self.prior > 1 else 0.0

    def sample(self, states: np.ndarray, rng: np.random.Generator, u: np.ndarray | None = None) -> np.ndarray:
        """[N] int64."""
        edges = self.probs_.cumsum(1)
        last = self.probs_.shape[1] - 1 - np.argmax(self.probs_[:, ::-1] > 0, axis=1)  # sums may end below one
        drawn = (rng.random(len(states))[:, None] >= edges[states]).sum(1)
        return np.minimum(drawn, last[states])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The probabilities."""
        return {"probs": self.probs_}

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """A copy with these probabilities."""
        return self.with_parameters(probs_=arrays["probs"])
