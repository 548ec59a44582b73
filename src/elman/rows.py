"""Layout of a ragged batch, without its values. This is the only place that checks lengths."""

import sys
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from elman.arrays import Array, as_array, compiling, is_tensor, row_numbers
from elman.representation import brief_fields, call, complete

T = TypeVar("T")
_LIMIT = 2.0**62  # steps of a batch: far more than memory holds, and far from where an int64 sum wraps


@brief_fields
class Plan(NamedTuple):
    """Order of the steps of a ragged batch in time, for loops that process all rows at one time step together."""

    longest_first: np.ndarray  # [B] rows, longest first; rows of equal length keep their order
    back_to_rows: np.ndarray  # [B] its inverse
    by_time: np.ndarray  # [N] steps ordered by time, then by longest_first
    back_to_steps: np.ndarray  # [N] its inverse
    alive: tuple[int, ...]  # [T] rows that have a step at time t, never zero


def _once(find: Callable[[Any], T]) -> T:
    """Return a read-only property that is computed once.

    While PyTorch compiles, the property is computed at every access: a program must not depend on earlier eager calls.
    """
    name = find.__name__

    @wraps(find)
    def get(rows: Any) -> Any:
        if compiling():
            return find(rows)
        kept = rows._check() if rows._kept is None else rows._kept
        if name not in kept:
            kept[name] = _read_only(find(rows))
        return kept[name]

    return cast(T, property(get))  # for type checkers, the value that access returns


class Rows:
    """Layout of a ragged batch: how N steps, row after row, are divided into B rows.

    A layout never changes. It keeps a copy of the lengths, and its arrays are read-only, so that kernels can rely on
    the check.

    Args:
        lengths: [B] integers, zero allowed: a list, a NumPy array, a PyTorch tensor or another `Rows`.
        num_steps: N, if it is known: the lengths must sum to it.
        where: the call that an error names.
    Raises:
        ValueError: the lengths are not integers of shape [B], one is negative, or they do not sum to num_steps; or
            `torch.onnx.export` or `torch.jit.trace` is running, which do not support ragged batches.
    Example:
        >>> rows = Rows([3, 0, 2])
        >>> len(rows), rows.num_steps, rows.offsets.tolist()
        (3, 5, [0, 3, 3, 5])
        >>> rows.rows.tolist(), rows.times.tolist()
        ([0, 0, 0, 2, 2], [0, 1, 2, 0, 1])
    """

    def __init__(self, lengths: Any, num_steps: int | None = None, where: str = "Rows"):
        self._lengths, self._num_steps = lengths, num_steps
        self._kept: dict[str, Any] | None = None
        _refuse_traces(where)
        if compiling():
            self._lengths = _traced_lengths(lengths)
        else:
            self._check(where)

    @staticmethod
    def of(rows: Any, num_steps: int | None = None, where: str = "Rows") -> "Rows":
        """Return `rows` itself if it is a layout, else the layout of these lengths; other arguments as in `Rows`."""
        if not isinstance(rows, Rows) or (compiling() and num_steps is not None):
            return Rows(rows, num_steps, where)
        if num_steps is not None and num_steps != rows.num_steps:
            raise _wrong_sum(where, num_steps, rows.num_steps)
        return rows

    def _check(self, where: str = "Rows") -> dict[str, Any]:
        """Check the lengths and copy them. A layout that a compiled program made is checked at its first use."""
        self._lengths = _checked(self._lengths, where)
        total = int(self._lengths.sum())
        if self._num_steps is not None and self._num_steps != total:
            raise _wrong_sum(where, self._num_steps, total)
        self._num_steps, self._kept = total, {}
        return self._kept

    def __len__(self) -> int:
        return len(self._lengths)

    @complete
    def __repr__(self) -> str:
        return call("Rows", f"{len(self):,} rows", f"{self.num_steps:,} steps")

    def __reduce__(self) -> Any:
        return Rows, (np.array(self.lengths),)  # copies and pickles are checked, and read-only again

    @_once
    def num_steps(self) -> int:
        """N, the steps of all rows together."""
        return int(_tensor(self._lengths).sum()) if self._num_steps is None else self._num_steps

    @_once
    def lengths(self) -> np.ndarray:
        """Steps of each row, [B] int64."""
        return self._lengths if compiling() else self._lengths.copy()

    @_once
    def offsets(self) -> np.ndarray:
        """First step of each row, and N, [B + 1]: row b is `values[offsets[b]:offsets[b + 1]]`."""
        if compiling():
            return self._like_lengths(_torch().nn.functional.pad(_tensor(self._lengths).cumsum(0), (1, 0)))
        return self.native_offsets.copy()

    @_once
    def native_offsets(self) -> np.ndarray:
        """Offsets for native kernels, which do not check them; `torch.from_numpy` can write into `offsets`."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self._lengths)])

    @_once
    def rows(self) -> np.ndarray:
        """Row of each step, [N]."""
        if compiling():
            lengths = _tensor(self._lengths)
            rows = _torch().arange(lengths.shape[0]).repeat_interleave(lengths, output_size=self._num_steps)
            return self._like_lengths(rows)
        return np.repeat(np.arange(len(self)), self._lengths)

    @_once
    def times(self) -> np.ndarray:
        """Time of each step in its row, from 0, [N]."""
        if compiling():
            rows = _tensor(self.rows)
            begins = _tensor(self.offsets).index_select(0, rows)
            return self._like_lengths(_torch().arange(rows.shape[0]) - begins)
        return np.arange(self.num_steps) - np.repeat(self.offsets[:-1], self._lengths)

    @_once
    def reversed(self) -> np.ndarray:
        """Steps of every row from its last to its first, [N]."""
        if compiling():
            ends = (_tensor(self.offsets)[1:] - 1).index_select(0, _tensor(self.rows))
            return self._like_lengths(ends - _tensor(self.times))
        return np.repeat(self.offsets[:-1] + self.offsets[1:] - 1, self._lengths) - np.arange(self.num_steps)

    @_once
    def plan(self) -> Plan:
        """Steps in order of time."""
        longest_first = np.argsort(-self._lengths, kind="stable")
        back_to_rows = np.argsort(longest_first)
        by_time = np.lexsort((back_to_rows[self.rows], self.times))
        alive = tuple(np.bincount(self.times).tolist()) if self.num_steps else ()
        return Plan(longest_first, back_to_rows, by_time, np.argsort(by_time), alive)

    def native_plan(self, make: Callable[[np.ndarray], Any], threads: int) -> Any:
        """Return `make(offsets)`, the plan of the native time loop, made once for each number of threads."""
        offsets, key = self.native_offsets, f"native plan, {threads} threads"
        assert self._kept is not None
        if key not in self._kept:
            self._kept[key] = make(offsets)
        return self._kept[key]

    def steps_of(self, rows: Any) -> np.ndarray:
        """Return the steps of some rows, row after row; repeats allowed."""
        rows = row_numbers(rows)
        lengths = self.lengths[rows]
        ends = np.cumsum(lengths)
        return np.repeat(self.offsets[:-1][rows] - (ends - lengths), lengths) + np.arange(lengths.sum())

    def select(self, rows: Any) -> "Rows":
        """Return the layout of some rows, in the order given; repeats allowed."""
        return Rows(self.lengths[row_numbers(rows)])

    def _like_lengths(self, numbers: Array) -> Array:
        """Return a tensor in the form in which the lengths are traced."""
        return numbers if is_tensor(self._lengths) else numbers.numpy()


@lru_cache(maxsize=64)
def one_step_each(rows: int) -> Rows:
    """Return the layout of `rows` rows of one step each."""
    return Rows(np.ones(rows, np.int64))


# While PyTorch compiles, lengths are traced: nothing may depend on them except the numbers in other arrays, and nothing
# is checked. The operators of the kernels check them when they run.


def _checked(lengths: Any, where: str) -> np.ndarray:
    """Return a copy of the lengths as int64."""
    if isinstance(lengths, Rows):
        lengths = lengths.lengths
    try:
        counts = np.array(lengths.numpy(force=True) if is_tensor(lengths) else as_array(lengths))
    except (ValueError, TypeError, RuntimeError):  # lists of unequal lengths; tensors that are sparse, nested or meta
        raise ValueError(f"{where}: expected integer lengths of shape [B], got {type(lengths).__name__}.") from None
    if counts.ndim != 1 or (counts.dtype.kind not in "iu" and (counts.size or counts.dtype.kind not in "fO")):
        raise ValueError(f"{where}: expected integer lengths of shape [B], got {counts.dtype} {list(counts.shape)}.")
    if counts.size and counts.min() < 0:
        raise ValueError(f"{where}: expected lengths of at least 0, got {counts.min()}.")
    if (total := counts.sum(dtype=np.float64)) >= _LIMIT:
        raise ValueError(f"{where}: expected lengths that sum to less than 2**62 steps, got {total:.3g}.")
    return counts.astype(np.int64, copy=False)


def _refuse_traces(where: str) -> None:
    """Raise while PyTorch traces a module or exports it to ONNX, which would make the result a constant."""
    torch = sys.modules.get("torch")
    if torch is None or not (torch.jit.is_tracing() or (compiling() and torch.onnx.is_in_onnx_export())):
        return
    raise ValueError(f"{where}: torch.onnx.export and torch.jit.trace do not support ragged batches; write a file with "
                     "elman.convert.to_onnx(model, path), or use the layers of elman.nn.")  # fmt: skip


def _wrong_sum(where: str, expected: int, got: int) -> ValueError:
    return ValueError(f"{where}: expected lengths that sum to {expected} steps, got {got}.")


def _read_only(value: Any) -> Any:
    """Return an array as one that cannot be written to; return other values themselves."""
    if isinstance(value, Plan):
        return Plan._make(map(_read_only, value))
    if not isinstance(value, np.ndarray):
        return value
    value.flags.writeable = False
    return value.view()  # whose flag cannot be set again


def _torch() -> Any:
    return sys.modules["torch"]


def _traced_lengths(lengths: Any) -> Array:
    """Return lengths as a NumPy array, or as a tensor where the compiler does not support NumPy."""
    if isinstance(lengths, Rows):
        return lengths._lengths
    if is_tensor(lengths) and not _torch().compiler.is_dynamo_compiling():
        return lengths
    return np.asarray(lengths).astype(np.int64)


def _tensor(numbers: Array) -> Array:
    return numbers if is_tensor(numbers) else _torch().from_numpy(numbers)
