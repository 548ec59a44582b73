"""Benchmark problems: a recurrence, its weights, batches and useful flops; comparison of results."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
LEAVES = {"rnn": 1, "lstm": 2, "gru": 1}  # number of arrays of the state
TOLERANCE = 1e-4  # allowed difference of two float32 results, relative to the largest value


class Batch(NamedTuple):
    """Input of a batch of rows."""

    rows: np.ndarray  # [B] numbers of the rows in the problem
    lengths: np.ndarray  # [B]
    x: list[np.ndarray]  # [T, I] per row
    dy: list[np.ndarray]  # [T, H] per row
    state: list[np.ndarray]  # h0, or h0 and c0: [B, H]


class Problem(NamedTuple):
    """Cell of `hidden` units on rows of `lengths` steps of `inputs` features."""

    name: str
    cell: str
    lengths: tuple[int, ...]
    inputs: int
    hidden: int

    @property
    def flops(self) -> float:
        """Useful flops of a forward pass; a training step has three times as many."""
        return 2.0 * sum(self.lengths) * GATES[self.cell] * self.hidden * (self.inputs + self.hidden)

    def weights(self, seed: int = 0) -> list[np.ndarray]:
        """Return weight_ih [G H, I], weight_hh [G H, H], bias [G H] and a GRU's bias_hn [H], in PyTorch's range."""
        size, draw = GATES[self.cell] * self.hidden, np.random.default_rng(seed).uniform
        shapes = [(size, self.inputs), (size, self.hidden), (size,), *([(self.hidden,)] if self.cell == "gru" else [])]
        return [(draw(-1, 1, shape) / self.hidden**0.5).astype(np.float32) for shape in shapes]

    def batches(self, rows: Sequence[np.ndarray] | None = None, seed: int = 1) -> list[Batch]:
        """Return the rows in one batch, or in the given batches of row numbers."""
        generator = np.random.default_rng(seed)

        def draw(*shape: int) -> np.ndarray:
            return generator.standard_normal(shape, dtype=np.float32)

        x = [draw(length, self.inputs) for length in self.lengths]
        dy = [draw(length, self.hidden) for length in self.lengths]
        state = [0.5 * draw(len(self.lengths), self.hidden) for _ in range(LEAVES[self.cell])]
        lengths = np.array(self.lengths)
        return [
            Batch(part, lengths[part], [x[row] for row in part], [dy[row] for row in part], [s[part] for s in state])
            for part in ([np.arange(len(lengths))] if rows is None else rows)
        ]


def dense(name: str, cell: str) -> Problem:
    """Return the problem named, for example, T100B32H128, or T784B100I1H100 with another number of inputs."""
    found = re.fullmatch(r"T(\d+)B(\d+)(?:I(\d+))?H(\d+)", name)
    if found is None:
        raise SystemExit(f"shape {name}: expected one like T100B32H128 or T784B100I1H100.")
    steps, rows, inputs, hidden = (int(number) if number else 0 for number in found.groups())
    return Problem(name, cell, (steps,) * rows, inputs or hidden, hidden)


Result = dict[str, np.ndarray]  # y, dx: [N, ...] row after row; h, c, dh0, dc0: [B, H]; gradients of the weights


def names(cell: str, train: bool) -> list[str]:
    """Return the names of the results, in the order in which every implementation returns them."""
    final = ["y", "h", "c"][: 1 + LEAVES[cell]]
    if not train:
        return final
    weights = ["dweight_ih", "dweight_hh", "dbias", *(["dbias_hn"] if cell == "gru" else [])]
    return [*final, "dx", *["dh0", "dc0"][: LEAVES[cell]], *weights]


def merge(batches: Sequence[Batch], results: Iterable[Result]) -> Result:
    """Merge the results of all batches: rows in the order of the problem, weight gradients summed."""
    merged: dict[str, list[np.ndarray]] = {}
    for result in results:
        for name, array in result.items():
            merged.setdefault(name, []).append(np.asarray(array))
    order = np.argsort(np.concatenate([batch.rows for batch in batches]))
    ends = np.cumsum(np.concatenate([batch.lengths for batch in batches]))

    def in_order(name: str, arrays: list[np.ndarray]) -> np.ndarray:
        if name.startswith(("dweight", "dbias")):
            return np.sum(arrays, 0)
        whole = np.concatenate(arrays)
        rows = np.split(whole, ends[:-1]) if name in ("y", "dx") else whole
        return np.concatenate([np.atleast_2d(rows[row]) for row in order])

    return {name: in_order(name, arrays) for name, arrays in merged.items()}


def difference(expected: Result, got: Result) -> tuple[float, str]:
    """Return the largest difference, relative to the largest expected value, and its name; infinite for NaN."""
    worst = (0.0, "")
    for name, array in got.items():
        reference = expected[name]
        if reference.shape != array.shape:
            return np.inf, name
        apart = float(np.abs(array - reference).max() / max(np.abs(reference).max(), 1e-30))
        worst = max(worst, (apart if apart == apart else np.inf, name))
    return worst


def agree(where: str, results: dict[str, Result], truth: str, tolerance: float = TOLERANCE) -> dict[str, float]:
    """Return the difference of each result from that of `truth`; exit if one is too large."""
    apart = {}
    for name, got in results.items():
        if name == truth:
            continue
        apart[name], what = difference(results[truth], got) if got else (np.inf, "everything")
        if apart[name] > tolerance:
            raise SystemExit(
                f"{where}: {name} and {truth} differ in {what} by {apart[name]:.2g} of the largest value, "
                f"allowed is {tolerance:.2g}; nothing was timed."
            )
    return apart
