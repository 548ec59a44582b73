"""Memory of a decoder: source sequences, and the number of the sequence that each row reads."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from elman.arrays import row_numbers
from elman.representation import call, complete
from elman.sequences import Sequences
from elman.state import Shared, State


class Reads(NamedTuple):
    """Ranges of memory: the `steps[b]` queries of row b read `sizes[b]` steps of the memory from `starts[b]` on."""

    steps: np.ndarray  # [B] int64
    starts: np.ndarray  # [B] int64
    sizes: np.ndarray  # [B] int64

    @property
    def num_pairs(self) -> int:
        """Number of pairs of a query and a memory step that it reads, P."""
        return int(self.steps @ self.sizes)

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the query and the memory step of every pair, [P] each: by row, then query, then memory step."""
        sizes = np.repeat(self.sizes, self.steps)  # [N] steps that each query reads
        query = np.repeat(np.arange(len(sizes)), sizes)
        place = np.arange(len(query)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return query, np.repeat(np.repeat(self.starts, self.steps), sizes) + place

    def split(self, weights: np.ndarray) -> list[np.ndarray]:
        """Return the weights of all pairs, [P], as one array [T, S] per row."""
        parts = np.split(weights, np.cumsum(self.steps * self.sizes)[:-1])
        shapes = zip(self.steps, self.sizes, strict=True)
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]


class Memory(Shared):
    """Source sequences as a part of a state. Several rows can read one sequence without a copy, as in beam search.

    Args:
        sequences: the source sequences.
        rows: [B] number of the sequence that each row reads; by default each row reads its own.
    Raises:
        ValueError: a row number is out of range.
    Example:
        >>> from elman import state
        >>> memory = Memory(Sequences(np.zeros((5, 2)), [2, 3]))
        >>> state.select(memory, [1, 1, 0]).sizes.tolist()
        [3, 3, 2]
    """

    def __init__(self, sequences: Sequences, rows: Any = None):
        self.sequences = sequences
        self.rows = np.arange(len(sequences), dtype=np.int64) if rows is None else row_numbers(rows)
        if self.rows.size and not 0 <= self.rows.min() <= self.rows.max() < len(sequences):
            got = f"{self.rows.min()} to {self.rows.max()}"
            raise ValueError(f"Memory: expected rows from 0 to {len(sequences) - 1}, got {got}.")

    @complete
    def __repr__(self) -> str:
        return call("Memory", f"{len(self.rows):,} rows of {self.sequences!r}")

    @property
    def starts(self) -> np.ndarray:
        """First step in `sequences.values` of each row's sequence, [B]."""
        return self.sequences.offsets[:-1][self.rows]

    @property
    def sizes(self) -> np.ndarray:
        """Length of each row's sequence, [B]."""
        return self.sequences.lengths[self.rows]

    def reads(self, steps: np.ndarray) -> Reads:
        """Return the ranges of memory that `steps` [B] queries of each row read."""
        return Reads(steps, self.starts, self.sizes)

    def arrays(self) -> State:
        return self.sequences.values, self.sequences.lengths, self.rows

    def with_arrays(self, arrays: State) -> Self:
        values, lengths, rows = arrays
        return type(self)(Sequences(values, lengths), rows)

    def select(self, rows: np.ndarray) -> Self:
        return type(self)(self.sequences, self.rows[rows])

    def cat(self, others: Sequence[Self]) -> Self:
        distinct: list[Sequences] = []
        rows = []
        for memory in (self, *others):
            if not any(memory.sequences is known for known in distinct):
                distinct.append(memory.sequences)
            place = next(number for number, known in enumerate(distinct) if known is memory.sequences)
            rows.append(memory.rows + sum(map(len, distinct[:place])))
        if len(distinct) == 1:
            return type(self)(distinct[0], np.concatenate(rows))
        # Otherwise batches that sessions join and leave would keep the memory of every past session.
        return type(self)(Sequences.cat(distinct), np.concatenate(rows)).alone()

    def alone(self) -> Self:
        needed, rows = np.unique(self.rows, return_inverse=True)
        if len(needed) == len(self.sequences):
            return self
        return type(self)(self.sequences.select(needed), rows)
