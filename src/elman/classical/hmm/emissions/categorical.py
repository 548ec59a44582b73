"""Categorical emission: symbols of an alphabet."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from elman.classical.checks import check_names, distribution, place
from elman.classical.hmm.emissions.emission import DEAD, Emission, buffer, warn_of_few
from elman.classical.hmm.inputs import counts
from elman.representation import counted
from elman.sequences import Sequences


class Symbols(NamedTuple):
    """Result of `Categorical.read`."""

    ids: np.ndarray  # [N] int64; num_symbols where missing
    num_symbols: int


class Categorical(Emission):
    """Categorical distribution p(x = v | k) = probs[k, v] for the symbols v from 0 to V - 1.

    Args:
        num_symbols: V; None: the largest symbol in training plus one.
        prior: Dirichlet parameter of the probabilities of each state, at least 1: 1 is no prior, 1 + c adds c to the
            count of every symbol in every state, so that none is impossible.
    Shapes:
        x: [N] integers, or float64 with NaN where missing
    Attributes:
        probs_: [K, V]; rows sum to one.
    Raises:
        TypeError, ValueError: x are not symbols; one is new, or impossible in every state; a setting is out of range.
    Example:
        >>> dice = Categorical.from_parameters(np.array([[0.5, 0.5], [0.1, 0.9]]))
        >>> np.exp(dice.log_prob(dice.read("here", Sequences(np.array([1, 0]), [2]))))
        array([[0.5, 0.9],
               [0.5, 0.1]])
    """

    probs_: np.ndarray

    columns = False

    def __init__(self, num_symbols: int | None = None, prior: float = 1.0):
        if num_symbols is not None and num_symbols < 1:
            raise ValueError(f"Categorical: expected num_symbols of at least 1, got {num_symbols}.")
        if not prior >= 1:
            raise ValueError(f"Categorical: expected a prior of at least 1 (1 is no prior), got {prior}.")
        self.num_symbols, self.prior = num_symbols, prior

    @classmethod
    def from_parameters(cls, probs: Any, prior: float = 1.0) -> Self:
        """Return an emission with known probabilities [K, V]."""
        probs = distribution("Categorical", "probs", probs, "K V")
        return cls(probs.shape[1], prior).with_parameters(probs_=probs)

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"num_symbols": self.num_symbols, "prior": self.prior}

    @property
    def num_states(self) -> int:
        """K."""
        return len(self.probs_)

    def size(self) -> str:
        return counted(self.probs_.shape[1], "symbol")

    def read(self, where: str, x: Sequences, u: np.ndarray | None = None) -> Symbols:
        """Return the symbols as ids; a missing symbol has the id V."""
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
        """Return log p(x | state) [N, K]."""
        with np.errstate(divide="ignore"):
            table = np.vstack([np.log(self.probs_).T, np.zeros(self.num_states)])  # [V + 1, K]
        return np.take(table, data.ids, axis=0, out=buffer(out, len(data.ids), self.num_states), mode="clip")

    def initialise(self, where: str, data: Symbols, num_states: int, rng: np.random.Generator) -> Self:
        """Return the overall frequencies, randomly perturbed in each state."""
        seen = np.bincount(data.ids, minlength=data.num_symbols + 1)[: data.num_symbols]
        if not seen.any():
            raise ValueError(f"{where}: expected observations, got none: all are missing.")
        warn_of_few(where, int((seen > 0).sum()), num_states)
        noise = rng.gamma(2.0, size=(num_states, data.num_symbols)) + 0.1
        probs = (seen + (self.prior - 1)) * noise
        return self.with_parameters(probs_=probs / probs.sum(1, keepdims=True))

    def m_step(self, data: Symbols, posterior: np.ndarray) -> Self:
        """Return normalised expected counts, with those of the prior."""
        expected = self.expected_counts(data, posterior)
        alive = expected.sum(1) >= DEAD
        probs = np.where(alive[:, None], expected + (self.prior - 1), self.probs_)
        return self.with_parameters(probs_=probs / probs.sum(1, keepdims=True))

    def expected_counts(self, data: Symbols, posterior: np.ndarray) -> np.ndarray:
        """Return the expected count of each symbol in each state, [K, V]."""
        size = self.probs_.shape[1]
        return np.stack([np.bincount(data.ids, column, size + 1)[:size] for column in posterior.T])

    def log_prior(self) -> float:
        """Return the log-density of the Dirichlet priors, up to a constant."""
        return float((self.prior - 1) * np.log(self.probs_).sum()) if self.prior > 1 else 0.0

    def sample(self, states: np.ndarray, rng: np.random.Generator, u: np.ndarray | None = None) -> np.ndarray:
        """Draw symbols [N] int64."""
        cumulative = self.probs_.cumsum(1)
        last = self.probs_.shape[1] - 1 - np.argmax(self.probs_[:, ::-1] > 0, axis=1)  # the sum may round below one
        drawn = (rng.random(len(states))[:, None] >= cumulative[states]).sum(1)
        return np.minimum(drawn, last[states])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the probabilities."""
        return {"probs": self.probs_}

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return a copy with these probabilities."""
        check_names("Categorical", arrays, ["probs"])
        size = "V" if self.num_symbols is None else f"V={self.num_symbols}"
        return self.with_parameters(probs_=distribution("Categorical", "probs", arrays["probs"], f"K {size}"))
