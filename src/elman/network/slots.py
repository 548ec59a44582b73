"""Many independent streams of one model in a process: streams open, step in batches, move and close."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np

from elman import state as states
from elman.arrays import as_array
from elman.declared_types import expected_type
from elman.kernels import native
from elman.network import stream_bytes
from elman.network.checks import check_array, check_count, check_state
from elman.network.layer import layer_of
from elman.network.stepper import NativeStepper, Stepper, check_arguments, check_values, make_stepper
from elman.representation import brief, call, complete
from elman.state import State

MOST_STREAMS = 1 << 40
NO_SLOT = (1 << 63) - 1  # larger than every slot


class Streams:
    """Pool of streams of one model, any of which step together in a batch.

    Every stream has a slot, a number that no other stream of the pool gets. The state of a stream is a record of the
    pool; a step computes the rows of its batch and no others. The outputs of a stream do not depend on the other
    streams of a batch: with native kernels, they are the bits of a `Stepper` of its own.

    Threads may share a pool, if each steps other streams. A step that takes more than about 50 microseconds releases
    Python's global interpreter lock, so steps of several threads then run in parallel.

    A step with an input that is not finite or not in the vocabulary, or with a slot that is closed, raises an error and
    changes no stream.

    Args:
        model: a `Layer` that streams, a cell or a `Stack` of PyTorch (the pool copies its weights), or a trained
            classifier or language model. The pool steps the network of a trained model: its inputs are encoded, by
            `model.inputs_.encode(rows)` or `model.units_.encode(text)`.
        capacity: largest number of open streams. Memory grows with the number of streams that have been open at once.
        batch_size: largest number of rows of a step; step more rows in parts.
        output, weights: as in `Stepper`.
    Raises:
        ValueError: an argument is out of range, a layer reads whole sequences, or runs in PyTorch only.
        TypeError: an argument is of another type.
    Example:
        >>> from elman import LSTM
        >>> streams = Streams(LSTM(3, 4), capacity=1000)
        >>> ann, bob = streams.open(), streams.open()
        >>> streams.step([bob, ann], np.ones((2, 3), np.float32)).shape
        (2, 4)
        >>> moved = streams.from_bytes(streams.to_bytes(bob))  # in this process or in another one
        >>> streams.close(bob)
        >>> len(streams)
        2
    """

    def __init__(
        self, model: Any, capacity: int, batch_size: int = 64, output: str = "logits", weights: str = "float32"
    ):
        check_arguments("Streams", batch_size, output, weights)
        check_count("Streams", "capacity", capacity, MOST_STREAMS)
        layer = self._layer = layer_of("Streams", model)
        layer.check_streams("streams")
        self.capacity, self.batch_size = capacity, batch_size
        one = make_stepper(layer, 1, output, weights)
        self._input, self._output, self._initial = one.input, one.output, states.map(np.copy, one.state)
        if isinstance(one, NativeStepper):
            self._pool: Any = _NativePool(one, lambda: NativeStepper(layer, batch_size, output, weights), capacity)
        else:
            self._pool = _NumPyPool(layer, one, capacity)

    @complete
    def __repr__(self) -> str:
        return call("Streams", f"{len(self)} of {self.capacity} streams", f"batch_size={self.batch_size}",
                    f"input={self._input.dtype} {list(self._input.shape[1:])}")  # fmt: skip

    def __len__(self) -> int:
        """Return the number of open streams."""
        return self._pool.count

    def open(self, state: State | None = None) -> int:
        """Open a stream and return its slot.

        Args:
            state: its state, with leaves [1, ...]; None for the initial state.
        Raises:
            ValueError: the pool is full, or the state is of another model or not finite.
            TypeError: a leaf of the state has another type.
        """
        if state is not None:
            state = check_state("Streams.open", state, self._initial)
        slot: int = self._pool.open()
        if state is not None:
            self._pool.write(slot, state)
        return slot

    def close(self, slot: int) -> None:
        """Close a stream; its memory serves the streams that open later.

        Raises:
            ValueError: the slot is not that of an open stream.
        """
        self._pool.close(_slot("close", slot))

    def step(self, slots: Sequence[int] | np.ndarray, inputs: Any) -> np.ndarray:
        """Run one step of some streams.

        Args:
            slots: slots of n streams, each at most once.
            inputs: [n, D] features, or [n] ids.
        Returns:
            outputs [n, O].
        Raises:
            ValueError: there are more rows than the batch size, a stream is closed or occurs twice, or inputs are of
                another shape, not finite or not in the vocabulary. No stream has changed.
            TypeError: slots or inputs have another type.
        """
        rows = _slots(slots)
        x = check_array("Streams.step", "inputs", inputs, self._input.shape[1:], "n")
        if len(x) != len(rows):
            raise ValueError(f"Streams.step: expected a row of inputs per slot, {len(rows)}, got {len(x)}.")
        if len(rows) > self.batch_size:
            raise ValueError(f"Streams.step: expected at most {self.batch_size} rows, its batch_size, got {len(rows)}; "
                             "step them in parts, or make the pool with a larger batch_size.")  # fmt: skip
        y = np.empty((len(rows), *self._output.shape[1:]), self._output.dtype)
        self._pool.step(rows, x, y)
        return y

    def state(self, slot: int) -> State:
        """Return a copy of the state of a stream, leaves [1, ...].

        Raises:
            ValueError: the slot is not that of an open stream.
        """
        return self._pool.read(_slot("state", slot))

    def set_state(self, slot: int, state: State) -> None:
        """Replace the state of a stream, leaves [1, ...].

        Raises:
            ValueError: the slot is not that of an open stream, or the state is of another model or not finite.
            TypeError: a leaf of the state has another type.
        """
        self._pool.write(_slot("set_state", slot), check_state("Streams.set_state", state, self._initial))

    def to_bytes(self, slot: int) -> bytes:
        """Return the state of a stream as bytes, from which a pool in another process continues it.

        They begin with a fingerprint of the model and a checksum.
        """
        return stream_bytes.to_bytes(self.state(slot), self._layer.fingerprint)

    def from_bytes(self, data: bytes | bytearray | memoryview) -> int:
        """Open a stream with the state that `to_bytes` returned, and return its slot.

        Raises:
            ValueError: the pool is full, or the bytes are damaged, or of a stream of another model.
            TypeError: the data are no bytes.
        """
        return self.open(stream_bytes.from_bytes("Streams.from_bytes", data, self._initial, self._layer.fingerprint))


def _slot(verb: str, slot: Any) -> int:
    """Return a slot as an integer; the pool checks whether its stream is open."""
    if expected_type(slot, int):
        raise TypeError(f"Streams.{verb}: expected a slot, a whole number, got {brief(slot)}.")
    return min(int(slot), NO_SLOT)


def _slots(slots: Any) -> np.ndarray:
    """Return slots as an array [n] of integers."""
    try:
        rows = as_array(slots)
    except ValueError:  # lists of different lengths
        rows = np.zeros((), object)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise TypeError(f"Streams.step: expected slots [n], whole numbers, got {brief(slots)}.")
    return np.ascontiguousarray(rows, np.int64)


class _NativePool:
    """Records in native memory. A step takes a free stepper, or a new one if other threads use them all."""

    def __init__(self, first: NativeStepper, make: Callable[[], NativeStepper], capacity: int):
        self._records: Any = native.module.Streams(first, capacity)
        self._own = first.state
        self._make, self._free = make, [make()]
        self.open, self.close = self._records.open, self._records.close

    @property
    def count(self) -> int:
        number: int = self._records.count
        return number

    def step(self, slots: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        try:
            stepper = self._free.pop()
        except IndexError:
            stepper = self._make()
        try:
            self._records.step(stepper, slots, x, y)
        finally:
            self._free.append(stepper)

    def read(self, slot: int) -> State:
        record = np.empty(self._records.record_bytes, np.uint8)
        self._records.read(slot, record)
        return self._parts(record)

    def write(self, slot: int, state: State) -> None:
        record = np.zeros(self._records.record_bytes, np.uint8)
        states.map(_copy_to, self._parts(record), state)
        self._records.write(slot, record)

    def _parts(self, record: np.ndarray) -> State:
        """Return the leaves of a record as views."""
        offsets = iter(self._records.offsets)

        def part(leaf: np.ndarray) -> np.ndarray:
            start = next(offsets)
            return record[start : start + leaf.nbytes].view(leaf.dtype).reshape(leaf.shape)

        return states.map(part, self._own)


def _copy_to(array: np.ndarray, leaf: np.ndarray) -> None:
    array[...] = leaf


class _NumPyPool:
    """States of streams as values, for layers without a native operation, and without native kernels."""

    def __init__(self, layer: Any, stepper: Stepper, capacity: int):
        self._layer, self._stepper, self._capacity = layer, stepper, capacity
        self._initial = states.map(np.copy, stepper.state)
        self._states: dict[int, State] = {}  # by slot
        self._next: list[int] = []  # slots of closed streams for the streams that open later
        self._used, self._lock = 0, Lock()

    @property
    def count(self) -> int:
        return len(self._states)

    def open(self) -> int:
        with self._lock:
            if self.count == self._capacity:
                raise ValueError(f"Streams.open: expected at most {self._capacity} open streams, its capacity, got one "
                                 "more; close some, or make a larger pool.")  # fmt: skip
            if not self._next:
                self._next.append(self._used)
                self._used += 1
            slot = self._next.pop()
            self._states[slot] = _alone(self._initial)
            return slot

    def close(self, slot: int) -> None:
        with self._lock:
            self._check("close", slot)
            del self._states[slot]
            self._next.append(slot + self._capacity)

    def step(self, slots: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        with self._lock:
            numbers: list[int] = slots.tolist()
            for row, slot in enumerate(numbers):
                self._check("step", slot)
                if (first := numbers.index(slot)) < row:
                    raise ValueError(f"Streams.step: expected each slot once, got {slot} at rows {first} and {row}; "
                                     "step that stream twice.")  # fmt: skip
            check_values("Streams.step", x, self._layer, lambda row: f"slot {numbers[row]}")
            if numbers:
                y[...], after = self._stepper.step(x, states.cat([self._states[slot] for slot in numbers]))
                self._keep(numbers, after)

    def _keep(self, slots: list[int], state: State) -> None:
        parts = states.split(state, [1] * len(slots))
        self._states.update((slot, _alone(part)) for slot, part in zip(slots, parts, strict=True))

    def read(self, slot: int) -> State:
        with self._lock:
            self._check("state", slot)
            return _alone(self._states[slot])

    def write(self, slot: int, state: State) -> None:
        with self._lock:
            self._check("set_state", slot)
            self._states[slot] = _alone(state)

    def _check(self, verb: str, slot: int) -> None:
        if slot not in self._states:
            raise ValueError(f"Streams.{verb}: expected the slot of an open stream, got {slot}, which is closed or was "
                             "never opened.")  # fmt: skip


def _alone(state: State) -> State:
    """Return a copy of a state without the rows of a batch that it does not read."""
    return states.map_parts(lambda part: part.alone() if isinstance(part, states.Shared) else np.array(part), state)
