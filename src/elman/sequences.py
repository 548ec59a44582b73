"""Ragged batch: `values` with leaves `[N, ...]` (the steps of row 0, then of row 1, ...) and their layout in rows."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from elman import state as states
from elman.arrays import Array, compiling, is_masked_array, is_tensor, like, plain, take, tensor
from elman.html_tables import html_table
from elman.representation import array_form, call, complete
from elman.rows import Plan, Rows
from elman.shapes import check


class Sequences:
    """Batch of rows of any lengths, without padding.

    Args:
        values: an array [N, ...], or a (named) tuple of them: the steps of row 0, then of row 1, ... NumPy or PyTorch.
            Masked numbers of NumPy are missing: they become NaN.
        rows: the layout, or the lengths of the rows, [B] integers, zero allowed.
    Raises:
        ValueError: the lengths do not sum to N, one is negative, or they are not integers.
        TypeError: a leaf is not an array, or holds masked values that are not numbers.
    Example:
        >>> x = Sequences.from_list([np.arange(3.0), np.arange(2.0)])
        >>> x.values.shape, x.lengths
        ((5,), array([3, 2]))
    """

    def __init__(self, values: Any, rows: Any):
        self._values, self._layout = values, Rows.of(rows, where="Sequences")
        if not compiling():
            self._check_values()

    def _check_values(self) -> None:
        if any(map(is_masked_array, states.leaves(self._values))):
            self._values = states.map(plain, self._values)
        steps = self._layout.num_steps
        for leaf in states.leaves(self._values):
            if not isinstance(leaf, np.ndarray) and not is_tensor(leaf):
                raise TypeError(f"Sequences: expected NumPy arrays or PyTorch tensors, got {type(leaf).__name__}.")
            if leaf.ndim == 0:
                raise ValueError("Sequences: expected values of shape [N, ...], got a scalar.")
            if leaf.shape[0] != steps:
                raise ValueError(f"Sequences: expected lengths that sum to {leaf.shape[0]} steps, got {steps}.")

    def __len__(self) -> int:
        return len(self._layout)

    @complete
    def __repr__(self) -> str:
        forms = map(array_form, states.leaves(self.values))
        return call("Sequences", f"{len(self):,} rows", f"{self.num_steps:,} steps", *forms)

    @complete
    def _repr_html_(self) -> str:
        """Return a table of the first rows, for notebooks."""
        rows = ((row, length) for row, length in enumerate(self.lengths.tolist()))
        return html_table(repr(self), rows, ["row", "steps"], len(self))

    def __reduce__(self) -> Any:
        return Sequences, (self._values, self._layout)  # copies and pickles are checked

    @property
    def values(self) -> Any:
        """Leaves [N, ...]."""
        return self._values

    @property
    def layout(self) -> Rows:
        """Layout of the rows, which batches with other values can share."""
        first = next(states.leaves(self._values), None)
        return Rows.of(self._layout, None if first is None else first.shape[0])

    @property
    def num_steps(self) -> int:
        """N, the steps of all rows together."""
        return self.layout.num_steps

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each row, [B] int64, read-only; `torch.tensor(x.lengths)` copies them, for other libraries."""
        return self._layout.lengths

    @property
    def offsets(self) -> np.ndarray:
        """First step of each row, and N, [B + 1]: row b is `values[offsets[b]:offsets[b + 1]]`."""
        return self._layout.offsets

    @property
    def rows(self) -> np.ndarray:
        """Row of each step, [N]."""
        return self.layout.rows

    @property
    def times(self) -> np.ndarray:
        """Time of each step in its row, from 0, [N]."""
        return self.layout.times

    @property
    def plan(self) -> Plan:
        """Steps in order of time."""
        return self._layout.plan

    def with_values(self, values: Any) -> "Sequences":
        """Return a batch of the same rows with other values [N, ...]."""
        return Sequences(values, self._layout)

    def map(self, fn: Callable[[Any], Any]) -> "Sequences":
        """Return a batch of the same rows with `fn(values)`: a pointwise layer is one call on all steps."""
        return self.with_values(fn(self.values))

    def select(self, rows: Any) -> "Sequences":
        """Return some rows, in the order given; repeats allowed."""
        layout = self._layout.select(rows)
        return Sequences(states.select(self.values, self._layout.steps_of(rows)), layout)

    def reverse(self) -> "Sequences":
        """Return every row from its last step to its first."""
        steps = self.layout.reversed
        return self.with_values(states.map(lambda leaf: take(leaf, like(steps, leaf)), self.values))

    @staticmethod
    def cat(batches: "Sequence[Sequences]") -> "Sequences":
        """Return the rows of several batches, one batch after another."""
        lengths = np.concatenate([batch.lengths for batch in batches])
        return Sequences(states.cat([batch.values for batch in batches]), lengths)

    def split(self, sizes: Sequence[int]) -> "list[Sequences]":
        """Return batches of `sizes` rows: the inverse of `cat`."""
        if sum(sizes) != len(self):
            raise ValueError(f"Sequences.split: expected sizes that add up to {len(self)} rows, got {list(sizes)}.")
        lengths = states.split(self.lengths, sizes)
        values = states.split(self.values, [int(part.sum()) for part in lengths])
        return [Sequences(v, part) for v, part in zip(values, lengths, strict=True)]

    # Conversion from and to the formats of other libraries.

    @staticmethod
    def from_list(rows: Iterable[Any]) -> "Sequences":
        """Return a batch made of one value [T, ...] per row (an array, or a tuple of arrays of one length)."""
        rows = [states.map(plain, row) for row in rows]  # concatenation drops masks
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
        """Return a list with one value [T, ...] per row."""
        return states.split(self.values, self.lengths.tolist())

    @staticmethod
    def from_padded(padded: Array, lengths: Any, batch_first: bool = True) -> "Sequences":
        """Return a batch made of [B, T, ...] (or [T, B, ...]) and the lengths of the rows; padding is dropped."""
        batch = padded if batch_first else padded.swapaxes(0, 1)
        rows = Rows.of(lengths, where="Sequences.from_padded")
        check("Sequences.from_padded", "lengths", rows.lengths, f"B={batch.shape[0]}")
        if (longest := rows.lengths.max(initial=0)) > batch.shape[1]:
            raise ValueError(f"Sequences.from_padded: expected lengths up to T={batch.shape[1]}, got {longest}.")
        real = np.arange(batch.shape[1]) < rows.lengths[:, None]
        return Sequences(batch[like(real, batch)], rows)

    def to_padded(self, fill: float = 0.0, batch_first: bool = True) -> Array:
        """Return [B, T, ...] (or [T, B, ...]), padded with `fill` after each row; a tuple of them for a tuple."""
        longest = int(self.lengths.max(initial=0))

        def pad(leaf: Array) -> Array:
            padded = leaf.new_full((len(self), longest, *leaf.shape[1:]), fill) if is_tensor(leaf) else np.full(
                (len(self), longest, *leaf.shape[1:]), fill, leaf.dtype)  # fmt: skip
            padded[like(self.rows, leaf), like(self.times, leaf)] = leaf
            return padded if batch_first else padded.swapaxes(0, 1)

        return states.map(pad, self.values)

    @staticmethod
    def from_packed(packed: Any) -> "Sequences":
        """Return a batch made of a `torch.nn.utils.rnn.PackedSequence`, its rows in the caller's order."""
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
        """Return a `torch.nn.utils.rnn.PackedSequence`, which supports neither empty rows nor empty batches."""
        from torch import tensor as as_tensor
        from torch.nn.utils.rnn import PackedSequence

        if not is_tensor(self.values):
            raise TypeError(f"Sequences.to_packed: expected one PyTorch tensor, got {type(self.values).__name__}.")
        if not len(self) or not self.lengths.all():
            raise ValueError("Sequences.to_packed: expected rows with steps; a PackedSequence has no empty rows.")
        plan, data = self.plan, states.select(self.values, self.plan.by_time)
        return PackedSequence(data, as_tensor(plan.alive), *(
            tensor(order).to(data.device) for order in (plan.longest_first, plan.back_to_rows)))  # fmt: skip
