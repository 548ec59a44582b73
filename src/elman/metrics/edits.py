"""Edit distance between sequences (Levenshtein 1966), and word or phoneme error rates."""

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from elman.errors import RowError
from elman.representation import brief, brief_fields

AT_ONCE = 1 << 16  # distances held at once, so that they stay in the cache


@brief_fields
class Edits(NamedTuple):
    """Edits of B hypotheses, each compared with its closest reference."""

    counts: np.ndarray  # [B] int64: insertions, deletions and substitutions
    sizes: np.ndarray  # [B] int64: length of the reference

    @property
    def rate(self) -> float | None:
        """Total edits divided by the total length of the references; None if that is 0."""
        units = int(self.sizes.sum())
        return int(self.counts.sum()) / units if units else None


def edit_distances(hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """Return the least number of insertions, deletions and substitutions that turn each hypothesis into its reference.

    Args:
        hypotheses, references: B sequences of units each, such as lists of words; a string is a sequence of characters.
    Returns:
        distances, [B] int64.
    Raises:
        ValueError: the numbers of hypotheses and references differ.
    Example:
        >>> edit_distances(["kitten", ["a", "dog"], []], ["sitting", ["a", "big", "dog"], ["x"]])
        array([3, 1, 1])
    """
    if len(hypotheses) != len(references):
        got = f"{len(hypotheses)} and {len(references)}"
        raise ValueError(f"edit_distances: expected as many hypotheses as references, got {got}.")
    numbers: dict[Hashable, int] = {}
    found, true = ([_numbered(row, numbers) for row in rows] for rows in (hypotheses, references))
    distances = np.zeros(len(found), np.int64)
    longest = [max(map(len, pair)) for pair in zip(found, true, strict=True)]
    order = sorted(range(len(found)), key=longest.__getitem__)
    start = 0
    while start < len(order):  # pairs of similar lengths together, for little padding
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * (longest[order[stop]] + 1) <= AT_ONCE:
            stop += 1
        rows = order[start:stop]
        distances[rows] = _distances([found[row] for row in rows], [true[row] for row in rows])
        start = stop
    return distances


def closest(hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Sequence[Hashable]]]) -> Edits:
    """Return the edits between each hypothesis and its closest reference; with ties, the first one.

    Args:
        hypotheses: B lists of units.
        references: one or more lists of units per hypothesis.
    Raises:
        ValueError: the numbers of rows differ, or a row has no reference.
    Example:
        >>> closest([["a", "b"]], [[["a", "c", "d"], ["a", "b", "c"]]]).rate
        0.3333333333333333
    """
    if len(hypotheses) != len(references):
        got = f"{len(hypotheses)} and {len(references)}"
        raise ValueError(f"closest: expected references for each hypothesis, got {got}.")
    lengths = np.array([len(row) for row in references], np.int64)
    if not lengths.all():
        raise RowError(int(lengths.argmin()), "closest: expected at least one reference, got none.")
    every = [reference for row in references for reference in row]
    repeated = [hypothesis for hypothesis, row in zip(hypotheses, references, strict=True) for _ in row]
    distances, sizes = edit_distances(repeated, every), np.array([len(row) for row in every], np.int64)
    ends = lengths.cumsum()
    best = [start + int(distances[start:end].argmin()) for start, end in zip(ends - lengths, ends, strict=True)]
    return Edits(distances[best], sizes[best])


def error_rate(hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Hashable]]) -> float:
    """Return the total edits divided by the total length of the references.

    For lists of words it is the word error rate, for phonemes the phoneme error rate, for strings the character error
    rate.

    Raises:
        ValueError: the numbers of hypotheses and references differ, or all references are empty.
    Example:
        >>> error_rate([["the", "cat"], ["a", "dog"]], [["the", "cat"], ["a", "dog", "barks", "loudly"]])
        0.3333333333333333
    """
    units = sum(map(len, references))
    edits = int(edit_distances(hypotheses, references).sum())
    if not units:
        raise ValueError(f"error_rate: expected references with units, got {len(references)} empty ones.")
    return edits / units


def _numbered(row: Sequence[Hashable], numbers: dict[Hashable, int]) -> np.ndarray:
    """Return a number for each unit, the same for equal units."""
    if not isinstance(row, Iterable) or not all(isinstance(unit, Hashable) for unit in row):
        raise TypeError(f"edit_distances: expected sequences of units, got {brief(row)}.")
    return np.array([numbers.setdefault(unit, len(numbers)) for unit in row], np.int64)


def _distances(hypotheses: list[np.ndarray], references: list[np.ndarray]) -> np.ndarray:
    """Return the distances of P pairs, [P]; one row of all their tables is computed at a time."""
    sizes, lengths = (np.array([len(row) for row in rows]) for rows in (references, hypotheses))
    width, pairs = int(sizes.max()), np.arange(len(references))
    wanted = np.full((len(references), width), -1, np.int64)
    for pair, row in enumerate(references):
        wanted[pair, : len(row)] = row
    steps = np.arange(width + 1)
    table = np.tile(steps, (len(references), 1))  # [P, R + 1] distance to each prefix of a reference
    found = table[pairs, sizes]
    for step in range(int(lengths.max(initial=0))):
        unit = np.array([row[step] if step < len(row) else -2 for row in hypotheses])
        below = np.empty_like(table)
        below[:, 0] = step + 1
        np.minimum(table[:, :-1] + (wanted != unit[:, None]), table[:, 1:] + 1, out=below[:, 1:])
        below -= steps  # each insertion costs 1: a running minimum of all entries to the left, in a tilted table
        np.minimum.accumulate(below, axis=1, out=below)
        below += steps
        table = below
        ended = lengths == step + 1
        found[ended] = table[pairs[ended], sizes[ended]]
    return found
