"""Modified Kneser-Ney smoothing of one length of context (Kneser and Ney 1995; Chen and Goodman 1998, TR-10-98)."""

from typing import NamedTuple

import numpy as np

from elman.classical.context_counts import ContextCounts

FALLBACK = np.array([0.5, 1.0, 1.5])  # discounts where counts are too few to estimate them


class Smoothed(NamedTuple):
    """The contexts of one length with their probabilities."""

    contexts: np.ndarray  # [C] sorted keys
    starts: np.ndarray  # [C + 1] the grams of context c are starts[c] to starts[c + 1]
    grams: np.ndarray  # [G] sorted keys
    weights: np.ndarray  # [G] (c(h w) - D) / c(h)
    backoffs: np.ndarray  # [C] b(h), what is left for shorter contexts


def discounts(counts: np.ndarray) -> np.ndarray:
    """D1, D2, D3 from how many of `counts` [G] are 1, 2, 3 and 4; 0.5, 1, 1.5 where that gives none above zero."""
    n = np.array([np.count_nonzero(counts == j) for j in (1, 2, 3, 4)])
    if not n.all():
        return FALLBACK
    y = n[0] / (n[0] + 2 * n[1])
    j = np.array([1, 2, 3])
    estimated: np.ndarray = j - (j + 1) * y * n[1:] / n[:-1]
    return estimated if (estimated > 0).all() else FALLBACK


def smooth(level: ContextCounts, discount: np.ndarray, vocabulary_size: int) -> Smoothed:
    """The probabilities of one length of context from its counts and its three discounts."""
    context_of = level.grams // vocabulary_size
    starts = np.searchsorted(context_of, np.arange(len(level.contexts) + 1))
    taken = discount[np.minimum(level.counts, len(discount)) - 1]
    totals = np.bincount(context_of, level.counts, len(level.contexts))
    backoffs = np.bincount(context_of, taken, len(level.contexts)) / totals
    return Smoothed(level.contexts, starts, level.grams, (level.counts - taken) / totals[context_of], backoffs)
