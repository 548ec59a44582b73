"""Edits that make one sequence of units another (Levenshtein 1966), and error rates of words or phonemes."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

AT_ONCE = 1 << 16  # distances of a table that are held at once: they stay in the cache


class Edits(NamedTuple):
    """Of each of B hypotheses, beside the reference that is closest to it."""

    counts: np.ndarray  # [B] int64: units put in, left out or replaced
    sizes: np.ndarray  # [B] int64: units of the reference

    @property
    def rate(self) -> float | None:
        """All edits to all units of the references; None where those are empty."""
        units = int(self.sizes.sum())
        return int(self.counts.sum()) / units if units else None


def edit_distances(hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """How many units must be put in, left out or replaced to make each hypothesis its reference.

    Args:
        hypotheses, references: B lists of units each: words, say; a string is its characters.
    Returns:
        [B] int64.
    Raises:
        ValueError: not as many hypotheses as references.
    Example:
        >>> edit_distances(["kitten", ["a", "dog"], []], ["sitting", ["a", "big", "dog"], ["x"]])
        array([3, 1, 1])
    """
    if len(hypotheses) != len(references):
        got = f"{len(hypotheses)} and {len(references)}"
        raise ValueError(f"edit_distances: expected as many hypotheses as references, got {got}.")
    numbers: dict[Hashable, int] = {}
    said, true = ([_numbered(row, numbers) for row in rows] for rows in (hypotheses, references))
    distances = np.zeros(len(said), np.int64)
    longest = [max(map(len, pair)) for pair in zip(said, true, strict=True)]
    order = sorted(range(len(said)), key=longest.__getitem__)
    start = 0
    while start < len(order):  # pairs of like lengths together: hardly anything is padded
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * (longest[order[stop]] + 1) <= AT_ONCE:
            stop += 1
        rows = order[start:stop]
        distances[rows] = _distances([said[row] for row in rows], [true[row] for row in rows])
        start = stop
    return distances


def closest(hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Sequence[Hashable]]]) -> Edits:
    """The edits between each hypothesis and whichever of its references needs the fewest; of several such, the first.

    Args:
        hypotheses: B lists of units.
        references: of each hypothesis one list of units or more.
    Raises:
        ValueError: not as many rows as hypotheses, or a row without a reference.
    Example:
        >>> closest([["a", "b"]], [[["a", "c", "d"], ["a", "b", "c"]]]).rate
        0.3333333333333333
    """
    if len(hypotheses) != len(references):
        got = f"{len(hypotheses)} and {len(references)}"
        raise ValueError(f"closest: expected references for each hypothesis, got {got}.")
    lengths = np.array([len(row) for row in references], np.int64)
    if not lengths.all():
        raise ValueError(f"closest: row {int(lengths.argmin())}: expected a reference or more, got none.")
    every = [reference for row in references for reference in row]
    repeated = [hypothesis for hypothesis, row in zip(hypotheses, references, strict=True) for _ in row]
    distances, sizes = edit_distances(repeated, every), np.array([len(row) for row in every], np.int64)
    ends = lengths.cumsum()
    best = [start + int(distances[start:end].argmin()) for start, end in zip(ends - lengths, ends, strict=True)]
    return Edits(distances[best], sizes[best])


def error_rate(hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Hashable]]) -> float:
    """All edits between hypotheses and references, to all units of the references.

    Of lists of words it is the word error rate, of phonemes that of phonemes, of strings that of characters.

    Raises:
        ValueError: not as many hypotheses as references, or references without any unit.
    Example:
        >>> error_rate([["the", "cat"], ["a", "dog"]], [["the", "cat"], ["a", "dog", "barks", "loudly"]])
        0.3333333333333333
    """
    units = sum(map(len, references))
    edits = int(edit_distances(hypotheses, references).sum())
    if not units:
        raise ValueError(f"error_rate: expected references with units, got {len(references)} without any.")
    return edits / units


def _numbered(row: Sequence[Hashable], numbers: dict[Hashable, int]) -> np.ndarray:
    """A number for each unit: the same for the same unit."""
    return np.array([numbers.setdefault(unit, len(numbers)) for unit in row], np.int64)


def _distances(said: list[np.ndarray], true: list[np.ndarray]) -> np.ndarray:
    """[P] distances of pairs, a row of all their tables at a time."""
    sizes, lengths = (np.array([len(row) for row in rows]) for rows in (true, said))
    width, pairs = int(sizes.max()), np.arange(len(true))
    wanted = np.full((len(true), width), -1, np.int64)
    for pair, row in enumerate(true):
        wanted[pair, : len(row)] = row
    steps = np.arange(width + 1)
    table = np.tile(steps, (len(true), 1))  # [P, R + 1] from nothing to each beginning of the reference
    found = table[pairs, sizes]
    for step in range(int(lengths.max(initial=0))):
        unit = np.array([row[step] if step < len(row) else -2 for row in said])
        below = np.empty_like(table)
        below[:, 0] = step + 1
        np.minimum(table[:, :-1] + (wanted != unit[:, None]), table[:, 1:] + 1, out=below[:, 1:])
        below -= steps  # what is put in costs one a step: a minimum of all that stand before it
        np.minimum.accumulate(below, axis=1, out=below)
        below += steps
        table = below
        ended = lengths == step + 1
        found[ended] = table[pairs[ended], sizes[ended]]
    return found
