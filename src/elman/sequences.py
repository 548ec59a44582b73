"""A ragged batch: `values` with leaves `[N, ...]` (the steps of row 0, then of row 1, ...) and `lengths [B]`."""

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np

from elman import state as states
from elman.arrays import Array, is_tensor, like, row_numbers
from elman.shapes import check

T = TypeVar("T")


class Plan(NamedTuple):
    """How the steps of a ragged batch lie in time: made once, used by every pass over it."""

    longest_first: np.ndarray  # [B] rows, longest first, equal ones in their order
    back_to_rows: np.ndarray  # [B] its inverse
    by_time: np.ndarray  # [N] steps ordered by time, then by longest_first
    back_to_steps: np.ndarray  # [N] its inverse
    alive: list[int]  # [T] rows that have a step at time t, never zero


class _once(cached_property[T]):
    """A property that is found when it is first asked for, and kept; a compiler would see two programs in that."""

    def __get__(self, sequences: Any, kind: type | None = None) -> Any:
        if sequences is None:
            return self
        found = self.func(sequences)
        if not following():
            sequences.__dict__[self.func.__name__] = found
        return found


class Sequences:
    """A batch of rows of any lengths, without padding.

    Args:
        values: an array [N, ...], or a (named) tuple of them: the steps of row 0, then of row 1, ... NumPy or PyTorch.
        lengths: [B] integers, zero allowed; kept as a NumPy int64 array on the CPU.
    Raises:
        ValueError: the lengths do not add up to N, or one is negative.
        TypeError: a leaf is no array.
    Example:
        >>> x = Sequences.from_list([np.arange(3.0), np.arange(2.0)])
        >>> x.values.shape, x.lengths
        ((5,), array([3, 2]))
    """

    def __init__(self, values: Any, lengths: Any):
        if following():
            self.values, self.lengths = values, _followed(lengths)
            return
        counts = np.asarray(lengths)
        if counts.ndim != 1 or (counts.size and counts.dtype.kind not in "iu"):
            raise ValueError(f"Sequences: expected integer lengths of shape [B], got {counts.dtype} {counts.shape}.")
        self.values = values
        self.lengths = counts.astype(np.int64)
        if (self.lengths < 0).any():
            raise ValueError(f"Sequences: expected lengths of at least 0, got {self.lengths.min()}.")
        self._check_values()

    def _check_values(self) -> None:
        for leaf in states.leaves(self.values):
            if not isinstance(leaf, np.ndarray) and not is_tensor(leaf):
                raise TypeError(f"Sequences: expected NumPy arrays or PyTorch tensors, got {type(leaf).__name__}.")
            if leaf.ndim == 0 or leaf.shape[0] != self.num_steps:
                got = "a scalar" if leaf.ndim == 0 else f"{leaf.shape[0]}"
                raise ValueError(
                    f"Sequences: expected values of {self.num_steps} steps (the sum of lengths), got {got}."
                )

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        leaves = ", ".join(f"{leaf.dtype} {list(leaf.shape)}" for leaf in states.leaves(self.values))
        return f"Sequences({len(self)} rows, {self.num_steps} steps, {leaves})"

    @_once
    def num_steps(self) -> int:
        """N, the steps of all rows together."""
        return int(self.lengths.sum())

    @_once
    def offsets(self) -> np.ndarray:
        """[B + 1]: row b is `values[offsets[b]:offsets[b + 1]]`."""
        if following():
            return _like(self.lengths, _torch().nn.functional.pad(_tensor(self.lengths).cumsum(0), (1, 0)))
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])

    @_once
    def rows(self) -> np.ndarray:
        """[N] the row of each step."""
        if following():
            torch, lengths, steps = _torch(), _tensor(self.lengths), next(states.leaves(self.values)).shape[0]
            rows = torch.arange(lengths.shape[0]).repeat_interleave(lengths, output_size=steps)
            return _like(self.lengths, rows)
        return np.repeat(np.arange(len(self)), self.lengths)

    @_once
    def times(self) -> np.ndarray:
        """[N] the place of each step in its row, from 0."""
        if following():
            rows = _tensor(self.rows)
            begins = _tensor(self.offsets).index_select(0, rows)
            return _like(self.lengths, _torch().arange(rows.shape[0]) - begins)
        return np.arange(self.num_steps) - np.repeat(self.offsets[:-1], self.lengths)

    @_once
    def plan(self) -> Plan:
        """The steps in order of time."""
        longest_first = np.argsort(-self.lengths, kind="stable")
        back_to_rows = np.argsort(longest_first)
        by_time = np.lexsort((back_to_rows[self.rows], self.times))
        alive = np.bincount(self.times).tolist() if self.num_steps else []
        return Plan(longest_first, back_to_rows, by_time, np.argsort(by_time), alive)

    def map(self, fn: Callable[[Any], Any]) -> "Sequences":
        """The same rows with `fn(values)`: a pointwise layer is one call on all steps."""
        if following():
            return Sequences(fn(self.values), self.lengths)
        mapped = Sequences.__new__(Sequences)
        mapped.__dict__.update(self.__dict__)  # what has been found out about the rows holds for them too
        mapped.values = fn(self.values)
        mapped._check_values()
        return mapped

    def select(self, rows: Any) -> "Sequences":
        """Rows in the order asked for; repeats allowed."""
        rows = row_numbers(rows)
        lengths = self.lengths[rows]
        steps = np.repeat(self.offsets[:-1][rows] - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        return Sequences(states.select(self.values, steps), lengths)

    def reverse(self) -> "Sequences":
        """Every row from its last step to its first."""
        if following():
            ends = (_tensor(self.offsets)[1:] - 1).index_select(0, _tensor(self.rows))
            steps = ends - _tensor(self.times)
            return self.map(lambda values: states.map(lambda leaf: leaf.index_select(0, steps.to(leaf.device)), values))
        steps = np.repeat(self.offsets[:-1] + self.offsets[1:] - 1, self.lengths) - np.arange(self.num_steps)
        return Sequences(states.select(self.values, steps), self.lengths)

    @staticmethod
    def cat(batches: "Sequence[Sequences]") -> "Sequences":
        """The rows of several batches, one after another."""
        lengths = np.concatenate([batch.lengths for batch in batches])
        return Sequences(states.cat([batch.values for batch in batches]), lengths)

    def split(self, sizes: Sequence[int]) -> "list[Sequences]":
        """The inverse of `cat`: batches of `sizes` rows."""
        if sum(sizes) != len(self):
            raise ValueError(f"Sequences.split: expected sizes that add up to {len(self)} rows, got {list(sizes)}.")
        lengths = states.split(self.lengths, sizes)
        values = states.split(self.values, [int(part.sum()) for part in lengths])
        return [Sequences(v, part) for v, part in zip(values, lengths, strict=True)]

    # The border: other people's shapes of a batch.

    @staticmethod
    def from_list(rows: Iterable[Any]) -> "Sequences":
        """One value [T, ...] a row (an array, or a tuple of arrays of one length)."""
        rows = list(rows)
        if not rows:
            raise ValueError("Sequences.from_list: expected at least one row, got none; give Sequences(values, []).")
        lengths = []
        for number, row in enumerate(rows):
            sizes = sorted({len(leaf) for leaf in states.leaves(row)})
            if len(sizes) != 1:
                raise ValueError(f"Sequences.from_list: expected arrays of one length in row {number}, got {sizes}.")
            lengths += sizes
        return Sequences(states.cat(rows), lengths)

    def to_list(self) -> list[Any]:
        """One value [T, ...] a row."""
        return states.split(self.values, self.lengths.tolist())

    @staticmethod
    def from_padded(padded: Array, lengths: Any, batch_first: bool = True) -> "Sequences":
        """From [B, T, ...] (or [T, B, ...]) and the real steps of each row; what is behind them is dropped."""
        batch = padded if batch_first else padded.swapaxes(0, 1)
        lengths = np.asarray(lengths)
        check("Sequences.from_padded", "lengths", lengths, f"B={batch.shape[0]}")
        if lengths.size and lengths.max() > batch.shape[1]:
            raise ValueError(f"Sequences.from_padded: expected lengths up to T={batch.shape[1]}, got {lengths.max()}.")
        real = np.arange(batch.shape[1]) < lengths[:, None]
        return Sequences(batch[like(real, batch)], lengths)

    def to_padded(self, fill: float = 0.0, batch_first: bool = True) -> Array:
        """[B, T, ...] (or [T, B, ...]) with `fill` behind the last step of each row; a tuple of them for a tuple."""
        longest = int(self.lengths.max(initial=0))

        def pad(leaf: Array) -> Array:
            padded = leaf.new_full((len(self), longest, *leaf.shape[1:]), fill) if is_tensor(leaf) else np.full(
                (len(self), longest, *leaf.shape[1:]), fill, leaf.dtype)  # fmt: skip
            padded[like(self.rows, leaf), like(self.times, leaf)] = leaf
            return padded if batch_first else padded.swapaxes(0, 1)

        return states.map(pad, self.values)

    @staticmethod
    def from_packed(packed: Any) -> "Sequences":
        """From a `torch.nn.utils.rnn.PackedSequence`, its rows in the caller's order."""
        alive = packed.batch_sizes.numpy()
        lengths = len(alive) - np.searchsorted(
            alive[::-1], np.arange(alive[0]), side="right"
        )  # longest first, as packed
        order = np.arange(len(lengths)) if packed.unsorted_indices is None else packed.unsorted_indices.cpu().numpy()
        starts = np.cumsum(alive) - alive
        sizes = lengths[order]
        times = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return Sequences(states.select(packed.data, starts[times] + np.repeat(order, sizes)), sizes)

    def to_packed(self) -> Any:
        """To a `torch.nn.utils.rnn.PackedSequence`; PyTorch has none with an empty row, or without rows."""
        from torch import from_numpy, tensor
        from torch.nn.utils.rnn import PackedSequence

        if not is_tensor(self.values):
            raise TypeError(f"Sequences.to_packed: expected one PyTorch tensor, got {type(self.values).__name__}.")
        if not len(self) or not self.lengths.all():
            raise ValueError("Sequences.to_packed: expected rows with steps; a PackedSequence has no empty rows.")
        plan, data = self.plan, states.select(self.values, self.plan.by_time)
        return PackedSequence(data, tensor(plan.alive), *(
            from_numpy(order).to(data.device) for order in (plan.longest_first, plan.back_to_rows)))  # fmt: skip


# What a compiler of PyTorch follows: lengths are numbers that it does not know, so nothing here may depend on them but
# the numbers in other arrays. They are tensors then, and nothing is checked: the kernels do that when they run.


def following() -> bool:
    """Whether `torch.compile` or `torch.export` follows what is done now, in place of doing it."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()


def _torch() -> Any:
    return sys.modules["torch"]


def _followed(lengths: Any) -> Array:
    """Lengths as NumPy has them, or, where the compiler cannot follow NumPy, as a tensor."""
    if is_tensor(lengths) and not _torch().compiler.is_dynamo_compiling():
        return lengths
    return np.asarray(lengths).astype(np.int64)


def _tensor(numbers: Array) -> Array:
    return numbers if is_tensor(numbers) else _torch().from_numpy(numbers)


def _like(lengths: Array, numbers: Array) -> Array:
    """A tensor as the lengths are kept."""
    return numbers if is_tensor(lengths) else numbers.numpy()
