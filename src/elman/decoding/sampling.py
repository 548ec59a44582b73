"""Draw the next unit from a distribution, sharpened or cut (nucleus: Holtzman et al. 2020, arXiv:1904.09751)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sampling:
    """How to draw: p ** (1 / temperature), then the `top_k` likeliest, then the fewest that hold `top_p` of the mass.

    Args:
        temperature: above 0; 1 leaves the distribution as it is, lower is more cautious; 0 takes the likeliest unit.
        top_k: keep this many units, at least 1; all if None.
        top_p: keep the smallest set of units whose mass reaches this, 0 < top_p <= 1; all if None.
    Raises:
        ValueError: a value is out of range.
    Example:
        >>> draw = np.random.default_rng(0)
        >>> Sampling(temperature=0).draw(np.log(np.array([[0.2, 0.5, 0.3]])), draw)
        array([1])
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"Sampling: expected a temperature of at least 0, got {self.temperature}.")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"Sampling: expected top_k of at least 1, got {self.top_k}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"Sampling: expected 0 < top_p <= 1, got {self.top_p}.")
        if self.temperature == 0 and (self.top_k is not None or self.top_p is not None):
            raise ValueError("Sampling: with temperature=0 top_k and top_p cannot act; leave them out.")

    def probabilities(self, log_probs: np.ndarray) -> np.ndarray:
        """log_probs [B, V] -> the distributions that are drawn from, [B, V]; each row sums to 1."""
        if self.temperature == 0:
            return np.eye(log_probs.shape[1])[log_probs.argmax(1)]
        scores = log_probs / self.temperature
        probs = np.exp(scores - scores.max(1, keepdims=True))
        order = np.argsort(-probs, 1, kind="stable")
        ranked = np.take_along_axis(probs, order, 1)
        if self.top_k is not None:
            ranked[:, self.top_k :] = 0
        ranked /= ranked.sum(1, keepdims=True)
        if self.top_p is not None:
            ranked[np.cumsum(ranked, 1) - ranked >= self.top_p] = 0
        np.put_along_axis(probs, order, ranked, 1)
        return probs / probs.sum(1, keepdims=True)

    def draw(self, log_probs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """log_probs [B, V] -> one unit a row, [B] int64."""
        ends = np.cumsum(self.probabilities(log_probs), 1)
        return (ends > generator.random((len(ends), 1)) * ends[:, -1:]).argmax(1)
