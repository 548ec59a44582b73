"""N-gram features: every sequence of one to `order` ids seen in training is a feature; each step adds a few.

The grams of one length are a sorted array of pairs, as in `context_counts`: a gram without its oldest id, and that id.
"""

from typing import NamedTuple

import numpy as np

from elman.classical.context_counts import descend, find
from elman.sequences import Sequences

NO_ID = -1  # entry of a history before the first id


class Found(NamedTuple):
    """Features that steps add, ordered by gram length and then by step."""

    steps: np.ndarray  # [M]
    features: np.ndarray  # [M]


def tabulate(sequences: Sequences, vocabulary_size: int, order: int, min_count: int) -> list[np.ndarray]:
    """Return the keys of the grams of 1, 2, ... order ids that occur at least `min_count` times in rows of ids [N]."""
    values, times = sequences.values, sequences.times
    steps, gram_of = np.arange(len(values)), np.zeros(len(values), np.int64)
    tables = []
    for length in range(1, order + 1):
        reaches = times[steps] >= length - 1
        steps = steps[reaches]
        longer = gram_of[reaches] * vocabulary_size + values[steps - (length - 1)]
        keys, counts = np.unique(longer, return_counts=True)
        keys = keys[counts >= min_count]
        gram_of, known = find(keys, longer)
        steps, gram_of = steps[known], gram_of[known]
        tables.append(keys)
    return tables


def look_up(tables: list[np.ndarray], histories: np.ndarray, vocabulary_size: int) -> Found:
    """Return the features that end with the last id of each history [M, order]; at most one per length."""
    steps, features, first = [], [], 0
    known = descend([np.zeros(1, np.int64), *tables], histories, vocabulary_size)
    next(known)  # the empty gram
    for keys, (rows, places) in zip(tables, known, strict=True):
        steps.append(rows)
        features.append(first + places)
        first += len(keys)
    return Found(np.concatenate(steps), np.concatenate(features))


def histories(sequences: Sequences, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last `order` ids at each step [N, order], and the last order - 1 after each row [B, order - 1].

    Args:
        last: [B, order - 1], the ids before the row, the latest in the last column; `NO_ID` where there is none.
    """
    units = np.append(sequences.values, NO_ID)  # an empty batch can be indexed too

    def before(rows: np.ndarray, times: np.ndarray, back: int) -> np.ndarray:
        earlier = times - back
        within = units[np.maximum(sequences.offsets[:-1][rows] + earlier, 0)]
        return np.where(earlier >= 0, within, last[rows, np.minimum(earlier, -1)] if last.shape[1] else NO_ID)

    size, rows = last.shape[1], np.arange(len(sequences))
    at_steps = [before(sequences.rows, sequences.times, back) for back in range(size, -1, -1)]
    after = [before(rows, sequences.lengths, back) for back in range(size, 0, -1)]
    return np.stack(at_steps, axis=1), np.stack(after, axis=1) if size else last.copy()
