"""Windows of long documents, for truncated backpropagation through time.

All documents are concatenated, with the boundary between them, and cut into streams of equal length. A window holds the
next `steps` of every stream. The final states of its rows are carried to the next window according to `source`.
"""

from collections.abc import Sequence
from copy import copy
from typing import NamedTuple, Self

import numpy as np

from elman import state as states
from elman.cell import Cell
from elman.data.units.base import BOUNDARY
from elman.representation import brief_fields, call, complete
from elman.sequences import Sequences
from elman.state import State


@brief_fields
class Window(NamedTuple):
    """Input of one training update: units, and the unit that follows each of them."""

    inputs: Sequences  # R rows, values int64 [N]: a boundary, or the unit before the target
    targets: np.ndarray  # int64 [N]
    source: np.ndarray  # int64 [R]: row of the previous window that this row continues; -1: it starts a document
    streams: int  # of the whole text, B; without streams, the rows of this window

    @property
    def num_steps(self) -> int:
        """N, the time steps of all rows together."""
        return self.inputs.num_steps


def resume(source: np.ndarray, previous: State | None, cell: Cell) -> State:
    """Return the state [R, ...] in which the rows of a window start.

    Args:
        source: [R], `source` of the window.
        previous: detached final state of the previous window; None for the first window.
        cell: the cell; rows with source -1 start from its initial state.
    """
    initial = cell.initial_state(len(source))
    continues = source >= 0
    if not continues.any():
        return initial
    assert previous is not None, "a row continues a window whose final state is missing"
    return states.where(continues, states.select(previous, np.maximum(source, 0)), initial)


class Windows(Sequence[Window]):
    """Windows of a text, in order; `windows[i]` is made on access.

    A document that ends inside a window ends its row there, and the next document is a new row. Every unit, and the end
    of every document, is the target of exactly one window.

    Args:
        documents: ids of each document, integers [n], without the boundary.
        streams: number of streams read in parallel, B; fewer if there are fewer targets.
        steps: time steps of each stream in one window, T.
        seed: seed of the order of the documents, which differs between epochs; None keeps their order.
    Raises:
        ValueError: there are no documents, an id is not above that of the boundary, or a size is below 1.
    Example:
        >>> windows = Windows([np.array([2, 3, 4]), np.array([5])], streams=1, steps=3)
        >>> [window.inputs.to_list() for window in windows]
        [[array([0, 2, 3])], [array([4]), array([0, 5])]]
        >>> windows[1].targets, windows[1].source
        (array([0, 5, 0]), array([ 0, -1]))
    """

    def __init__(self, documents: Sequence[np.ndarray], streams: int, steps: int, seed: int | None = None):
        if streams < 1 or steps < 1:
            raise ValueError(f"Windows: expected streams and steps of at least 1, got {streams} and {steps}.")
        self.text = concatenated("Windows", documents)
        self.streams, self.steps, self.seed = min(streams, self.num_steps), steps, seed
        self.first = steps  # time steps of the first window

    @property
    def num_steps(self) -> int:
        """Number of targets of all windows together."""
        return len(self.text) - 1

    def epoch(self, number: int) -> Self:
        """Return the windows of one epoch: documents shuffled, and a shorter first window, which moves all cuts."""
        if self.seed is None:
            return self
        generator = epoch_generator(self.seed, number)
        other = copy(self)
        other.text = shuffled(self.text, generator)
        other.first = int(generator.integers(1, self.steps + 1))
        return other

    @complete
    def __repr__(self) -> str:
        return call(
            "Windows", f"{len(self):,} windows of {self.streams} x {self.steps} steps", f"{self.num_steps:,} in all"
        )

    def __len__(self) -> int:
        longest = -(-self.num_steps // self.streams)
        return 1 + max(0, -(-(longest - self.first) // self.steps))

    def __getitem__(self, index: int) -> Window:  # type: ignore[override]  # no slices
        number = range(len(self))[index]
        places, starts, counts = self._cut(number)
        source = np.full(len(starts), -1)
        if number > 0:
            _, _, counts_before = self._cut(number - 1)
            last_rows = np.cumsum(counts_before)[: len(counts)] - 1  # last row of each stream in the previous window
            heads = np.cumsum(counts) - counts
            continues = self.text[places[starts[heads]]] != BOUNDARY
            source[heads[continues]] = last_rows[continues]
        lengths = np.diff(starts, append=len(places))
        text = self.text
        inputs = Sequences(text[places].astype(np.int64), lengths)
        return Window(inputs, text[places + 1].astype(np.int64), source, self.streams)

    def _cut(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return places in the text of a window's steps [N], the steps that start a row [R], and rows per stream."""
        begin = 0 if number == 0 else self.first + (number - 1) * self.steps
        end = self.first + number * self.steps
        each, longer = divmod(self.num_steps, self.streams)
        sizes = each + (np.arange(self.streams) < longer)  # steps of each stream; the longer ones first
        origins = np.cumsum(sizes) - sizes
        alive = sizes > begin  # streams that reach this window
        counts = np.minimum(sizes[alive], end) - begin
        offsets = np.cumsum(counts) - counts
        places = np.repeat(origins[alive] + begin - offsets, counts) + np.arange(counts.sum())
        is_start = self.text[places] == BOUNDARY
        is_start[offsets] = True
        return places, np.flatnonzero(is_start), np.add.reduceat(is_start.astype(np.int64), offsets)


def concatenated(where: str, documents: Sequence[np.ndarray]) -> np.ndarray:
    """Return the documents concatenated, with the boundary before, between and after them, int32.

    All ids but the last are inputs, all but the first are targets.
    """
    if not len(documents):
        raise ValueError(f"{where}: expected at least one document, got none.")
    text = np.full(sum(map(len, documents)) + len(documents) + 1, BOUNDARY, np.int32)
    place = 1
    for i, ids in enumerate(documents):
        if len(ids) and np.min(ids) <= BOUNDARY:
            raise ValueError(
                f"{where}: expected ids above {BOUNDARY} (the boundary), got {np.min(ids)} in document {i}."
            )
        text[place : place + len(ids)] = ids
        place += len(ids) + 1
    return text


def shuffled(text: np.ndarray, generator: "np.random.Generator") -> np.ndarray:
    """Return the concatenated documents in another order."""
    boundaries = np.flatnonzero(text == BOUNDARY)
    order = generator.permutation(len(boundaries) - 1)
    documents = [text[boundaries[i] : boundaries[i + 1]] for i in order]
    return text if len(documents) == 1 else np.concatenate([*documents, text[-1:]])


def epoch_generator(seed: int, epoch: int) -> "np.random.Generator":
    """Return the random generator of one epoch, a function of the seed and the epoch."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], np.uint64)))
