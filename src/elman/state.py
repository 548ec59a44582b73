"""Operations on states. A state is a value: an array `[B, ...]` or a (named) tuple of states; `()` is empty.

Read-only parts that several rows share are `Shared`. The operations are `detach`, `select`, `where`, `cat`,
`split`, `to_bytes` and `from_bytes`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import count
from typing import Any, Self

import numpy as np

from elman.arrays import Array, is_tensor, like, namespace, row_mask, row_numbers, take

State = Any  # Array | Shared | tuple[State, ...]


class Shared(ABC):
    """Part of a state that its rows share: operations permute `rows` and do not copy the shared arrays."""

    rows: np.ndarray  # [B]

    @abstractmethod
    def arrays(self) -> State:
        """Return all arrays, `rows` included, as a tuple; they need not have B rows."""

    @abstractmethod
    def with_arrays(self, arrays: State) -> Self:
        """Return a copy with other arrays, in the structure that `arrays` returns."""

    @abstractmethod
    def select(self, rows: np.ndarray) -> Self:
        """Return some rows, as in `state.select`."""

    @abstractmethod
    def cat(self, others: Sequence[Self]) -> Self:
        """Return these rows and those of others, one after another."""

    @abstractmethod
    def alone(self) -> Self:
        """Return a copy without the parts that no row reads."""


def map(fn: Callable[..., Any], *states: State) -> State:
    """Apply `fn` to the arrays of one state, or of several states of the same structure, leaf by leaf."""
    first = states[0]
    if isinstance(first, Shared):
        return first.with_arrays(map(fn, *(state.arrays() for state in states)))
    if not isinstance(first, tuple):
        return fn(*states)
    parts = [map(fn, *parts) for parts in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def leaves(state: State) -> Iterator[Array]:
    """Yield the arrays of a state, in order."""
    if isinstance(state, tuple):
        for part in state:
            yield from leaves(part)
    elif isinstance(state, Shared):
        yield from leaves(state.arrays())
    else:
        yield state


def row_leaves(state: State) -> Iterator[Array]:
    """Yield the arrays [B, ...] of a state, in order: of a shared part, its `rows`."""
    if isinstance(state, tuple):
        for part in state:
            yield from row_leaves(part)
    else:
        yield state.rows if isinstance(state, Shared) else state


def by_row(state: State) -> State:
    """Return the state with shared parts replaced by their `rows`, so that every array is [B, ...]."""
    return map_parts(lambda part: part.rows if isinstance(part, Shared) else part, state)


def map_parts(fn: Callable[..., Any], *states: State) -> State:
    """Apply `fn` as `map` does, but to a shared part as a whole."""
    first = states[0]
    if not isinstance(first, tuple):
        return fn(*states)
    parts = [map_parts(fn, *parts) for parts in zip(*states, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def detach(state: State) -> State:
    """Return the same values without their graph: the state that truncated BPTT carries to the next window."""
    return map(lambda leaf: leaf.detach() if is_tensor(leaf) else leaf, state)


def separate(state: State) -> State:
    """Return the same values as new nodes of the graph, so that each leaf gets its own gradient; integers have none."""

    def own(leaf: Any) -> Any:
        if not is_tensor(leaf) or not leaf.is_floating_point():
            return leaf
        return (leaf if leaf.requires_grad else leaf.detach().requires_grad_()) * 1

    return map(own, state)


def select(state: State, rows: Any) -> State:
    """Return some rows of a state, in the order given, repeats allowed: beams, finished rows, permutations."""

    def move(part: Any) -> Any:
        return part.select(row_numbers(rows)) if isinstance(part, Shared) else take(part, rows)

    return map_parts(move, state)


def where(condition: Any, state: State, other: State) -> State:
    """Return the rows of `state` where `condition [B]` is true, and of `other` elsewhere."""

    def choose(a: Any, b: Any) -> Any:
        if isinstance(a, Shared):
            chosen = row_mask(condition)
            return a.cat([b]).select(np.arange(len(chosen)) + np.where(chosen, 0, len(chosen)))
        mask = condition if is_tensor(condition) else like(row_mask(condition), a)
        return namespace(a).where(mask.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)

    return map_parts(choose, state, other)


def cat(states: Sequence[State]) -> State:
    """Return the rows of several states of one structure, one after another, for example sessions as a batch."""

    def join(first: Any, *others: Any) -> Any:
        if isinstance(first, Shared):
            return first.cat(others)
        module = namespace(first)
        return (module.cat if is_tensor(first) else module.concatenate)((first, *others))  # vmap has no concatenate

    return map_parts(join, *states)


def split(state: State, sizes: Sequence[int]) -> list[State]:
    """Return states of `sizes` rows: the inverse of `cat`."""
    if isinstance(state, tuple):
        parts = [split(part, sizes) for part in state]
        rows = zip(*parts, strict=True) if parts else (() for _ in sizes)
        return [type(state)(*row) if hasattr(state, "_fields") else tuple(row) for row in rows]
    count = len(state.rows if isinstance(state, Shared) else state)
    if sum(sizes) != count:
        raise ValueError(f"state.split: expected sizes that add up to {count} rows, got {list(sizes)}.")
    if isinstance(state, Shared):
        return [state.select(part) for part in np.split(np.arange(count), np.cumsum(sizes)[:-1])][: len(sizes)]
    if is_tensor(state):
        return list(state.split([int(size) for size in sizes])) if len(sizes) else []
    return np.split(state, np.cumsum(sizes)[:-1]) if len(sizes) else []


def to_bytes(state: State) -> bytes:
    """Return the leaves of a state as the bytes of a safetensors file."""
    state = map_parts(lambda part: part.alone() if isinstance(part, Shared) else part, state)
    arrays = {str(i): leaf for i, leaf in enumerate(leaves(state))}
    if tensors := [leaf for leaf in arrays.values() if is_tensor(leaf)]:
        from safetensors.torch import save

        # safetensors rejects two leaves that are the same tensor, so each is copied.
        own = {name: leaf if is_tensor(leaf) else like(leaf, tensors[0]) for name, leaf in arrays.items()}
        return save({name: leaf.detach().contiguous().clone() for name, leaf in own.items()})
    from safetensors.numpy import save as save_numpy

    return save_numpy({name: np.ascontiguousarray(leaf) for name, leaf in arrays.items()})


def from_bytes(data: bytes | bytearray | memoryview, example: State) -> State:
    """Return the state that `to_bytes` wrote, in the structure, kind and device of `example` (any number of rows).

    Raises:
        ValueError: the leaves differ from those of `example`, or the bytes are truncated.
        TypeError: the data are no bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"state.from_bytes: expected bytes, got {type(data).__name__}.")
    from safetensors import SafetensorError

    kind = "torch" if any(is_tensor(leaf) for leaf in leaves(example)) else "numpy"
    try:
        stored = import_module(f"safetensors.{kind}").load(bytes(data))
    except (SafetensorError, KeyError) as error:  # KeyError: NumPy lacks a type
        raise ValueError(f"state.from_bytes: expected the bytes of a state, got {len(data)} bytes of another format, "
                         f"or truncated bytes: {error}.") from None  # fmt: skip
    numbers = count()

    def restore(leaf: Array) -> Array:
        name = str(next(numbers))
        got = stored.get(name)
        if got is not None and is_tensor(got) and not is_tensor(leaf):
            got = got.numpy()
        if got is None or got.dtype != leaf.dtype or tuple(got.shape[1:]) != tuple(leaf.shape[1:]):
            have = "nothing" if got is None else f"{tuple(got.shape)} {got.dtype}"
            raise ValueError(f"state.from_bytes: leaf {name}: expected [B, *{tuple(leaf.shape[1:])}] {leaf.dtype}, "
                             f"got {have}; these bytes are the state of another model.")  # fmt: skip
        return got.to(leaf.device) if is_tensor(leaf) else got

    state = map(restore, example)
    if next(numbers) != len(stored):
        raise ValueError(f"state.from_bytes: expected {sum(1 for _ in leaves(example))} leaves, got {len(stored)}; "
                         "these bytes are the state of another model.")  # fmt: skip
    return state
