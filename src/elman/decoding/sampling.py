"""Sampling of the next unit, with temperature, top-k and top-p (nucleus: Holtzman et al. 2020, arXiv:1904.09751)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sampling:
    """Settings of sampling: temperature, then the `top_k` most probable units, then the smallest set of mass `top_p`.

    Args:
        temperature: exponent 1 / temperature of the probabilities. 1 keeps the distribution, lower values sharpen it,
            and 0 always takes the most probable unit.
        top_k: number of most probable units to keep, at least 1; None keeps all.
        top_p: keep the smallest set of units with at least this probability, 0 < top_p <= 1; None keeps all.
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
            raise ValueError("Sampling: with temperature=0 top_k and top_p have no effect; leave them out.")

    def probabilities(self, log_probs: np.ndarray) -> np.ndarray:
        """Return the distributions to draw from, [B, V], given log_probs [B, V]; each row sums to 1."""
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

    def draw(self, log_probs: np.ndarray, generator: "np.random.Generator") -> np.ndarray:
        """Draw one unit per row, [B] int64, given log_probs [B, V]."""
        ends = np.cumsum(self.probabilities(log_probs), 1)
        return (ends > generator.random((len(ends), 1)) * ends[:, -1:]).argmax(1)
