"""Counts of the units that follow each context: a suffix tree with one table per context length.

A context of k units is its k - 1 last units, which have an id, and one older unit. A pair of integers identifies it,
one sorted array holds all contexts of a length, and the index in that array is the id: no hashing, no collisions.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from elman.progress import ProgressLine
from elman.sequences import Sequences


class ContextCounts(NamedTuple):
    """Contexts of one length, and the grams: each context with a unit that follows it."""

    contexts: np.ndarray  # [C] sorted keys: id of the context without its oldest unit * V + its oldest unit
    grams: np.ndarray  # [G] sorted keys: id of the context * V + next unit
    counts: np.ndarray  # [G] count for smoothing, at least 1


def count(inputs: Sequences, targets: np.ndarray, vocabulary_size: int, order: int,
          line: ProgressLine) -> list[ContextCounts]:  # fmt: skip
    """Count the units after contexts of 0, 1, ... order - 1 units, as Kneser and Ney do.

    The count of the longest grams is their frequency. The count of a shorter gram is the number of different units
    before it, so that a unit seen after only one context does not look common. A gram at the beginning of a row, which
    no unit can precede, counts by its frequency.

    Args:
        inputs: rows of ids [N]; each begins with the boundary, which occurs nowhere else.
        targets: [N], the unit after each input.
        line: shows the progress.
    """
    levels: list[ContextCounts] = []
    steps, context_of = np.arange(inputs.num_steps), np.zeros(inputs.num_steps, np.int64)
    contexts, times = np.zeros(1, np.int64), inputs.times  # the empty context
    for length in range(order):
        line(partial(_progress, line, length, order), event=line.verbose == 2)
        if length:
            reaches = times[steps] >= length - 1
            steps = steps[reaches]
            longer = context_of[reaches] * vocabulary_size + inputs.values[steps - (length - 1)]
            ordered = np.sort(longer)  # half the time of np.unique with its inverse, on long texts
            contexts = ordered[np.diff(ordered, prepend=-1) > 0]
            context_of = np.searchsorted(contexts, longer)
        grams, counts = np.unique(context_of * vocabulary_size + targets[steps], return_counts=True)
        if length:
            shorter = levels[-1]
            without_oldest = contexts[grams // vocabulary_size] // vocabulary_size * vocabulary_size
            shorter_grams = np.searchsorted(shorter.grams, without_oldest + grams % vocabulary_size)
            before = np.bincount(shorter_grams, minlength=len(shorter.grams))
            levels[-1] = shorter._replace(counts=np.where(before > 0, before, shorter.counts))
        levels.append(ContextCounts(contexts, grams, counts))
    return levels


def _progress(line: ProgressLine, length: int, order: int) -> str:
    left = f"  {line.time_left(length / order)}" if length else ""
    return f"NGram.fit: counting grams of {length + 1} of {order} units{left}"


def find(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each of `wanted` [M] in the sorted `keys` [G], and whether it is there."""
    places = np.searchsorted(keys, wanted)
    if not len(keys):
        return places, np.zeros(len(wanted), bool)
    places[places == len(keys)] = 0
    return places, keys[places] == wanted


def descend(
    contexts: Sequence[np.ndarray], histories: np.ndarray, vocabulary_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Match each history backwards, one unit per level, as far as its context was seen.

    Args:
        contexts: the context keys of each length.
        histories: [M, order - 1] the last units, the latest in the last column; negative where there is none.
    Yields:
        For each length, the rows [m] with a known context and the ids [m] of those contexts.
    """
    rows, ids = np.arange(len(histories)), np.zeros(len(histories), np.int64)
    yield rows, ids
    for length, keys in enumerate(contexts[1:], start=1):
        older = histories[rows, -length]
        places, known = find(keys, ids * vocabulary_size + older)
        known &= older >= 0
        rows, ids = rows[known], places[known]
        yield rows, ids
