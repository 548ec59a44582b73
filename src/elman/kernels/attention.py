"""Attention of ragged queries over a ragged memory (Bahdanau et al. 2015, arXiv:1409.0473; Luong et al. 2015)."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from elman.arrays import like


class Reads(NamedTuple):
    """Who reads what: the queries of row b, `steps[b]` of them, read `sizes[b]` steps of the memory from `starts[b]` on."""

    steps: np.ndarray  # [B] int64
    starts: np.ndarray  # [B] int64
    sizes: np.ndarray  # [B] int64

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The query and the memory step of every pair, [P] each: by row, then query, then memory step."""
        sizes = np.repeat(self.sizes, self.steps)  # [N] of each query
        query = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return query, np.repeat(np.repeat(self.starts, self.steps), sizes) + place


def reference(
    queries: Tensor, keys: Tensor, values: Tensor, reads: Reads, additive: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Every query: the mean of the values that its row reads, weighted by the softmax of their keys' scores.

    Args:
        queries: [N, A].
        keys, values: [M, A] and [M, D].
        additive: [A]; a score is `additive . tanh(query + key)` with it, `query . key` without.
    Returns:
        context [N, D], zeros where there is nothing to read, and the weight of every pair, [P].
    """
    query, step = (like(part, queries) for part in reads.pairs())
    if additive is None:
        scores = (queries[query] * keys[step]).sum(-1)
    else:
        scores = (queries[query] + keys[step]).tanh() @ additive
    largest = scores.new_zeros(len(queries)).scatter_reduce(0, query, scores.detach(), "amax", include_self=False)
    unscaled = (scores - largest[query]).exp()
    sums = scores.new_zeros(len(queries)).index_add(0, query, unscaled)
    weights = unscaled / sums[query]
    context = values.new_zeros(len(queries), values.shape[1])
    return context.index_add(0, query, weights[:, None] * values[step]), weights


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, reads: Reads, additive: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """As `reference` says."""
    return reference(queries, keys, values, reads, additive)
