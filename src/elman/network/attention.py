"""Attention over a memory (Bahdanau et al. 2015, arXiv:1409.0473), without PyTorch."""

from typing import Any

import numpy as np

from elman.kernels import native
from elman.memory import Memory, Reads
from elman.network.checks import check_array, check_input
from elman.network.functions import AffineMap, address, new
from elman.network.layer import Layer
from elman.network.spec import LayerSpec
from elman.network.states import KeysAndValues
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State

SCORES = ("additive", "dot", "general")


def reference(
    queries: np.ndarray, keys: np.ndarray, values: np.ndarray, reads: Reads, additive: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute attention row by row in NumPy; arguments and results as in `elman.kernels.attention.reference`."""
    context, weights = np.zeros((len(queries), values.shape[1]), np.float32), [np.empty(0, np.float32)]
    ends = np.cumsum(reads.steps)
    for end, steps, start, size in zip(ends, *reads, strict=True):
        if size == 0:
            continue
        query, read = queries[end - steps : end], slice(start, start + size)
        scores = query @ keys[read].T if additive is None else np.tanh(query[:, None] + keys[read]) @ additive
        scores = np.exp(scores - scores.max(1, keepdims=True))
        scores /= scores.sum(1, keepdims=True)
        context[end - steps : end] = scores @ values[read]
        weights.append(scores.ravel())
    return context, np.concatenate(weights)


def attend(
    queries: np.ndarray, keys: np.ndarray, values: np.ndarray, reads: Reads, additive: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute attention as `reference` defines it, with the native kernel if there is one.

    The ranges must be within the memory, and all arrays contiguous float32, as those of an `Attention` are.
    """
    if not native.available():
        return reference(queries, keys, values, reads, additive)
    queries = np.ascontiguousarray(queries)
    context, weights = new(len(queries), values.shape[1]), new(reads.num_pairs, 1)
    sizes = len(keys), keys.shape[1], values.shape[1]
    native.module.attend(*reads, *sizes, *map(address, (queries, keys, values, additive, weights, context)))
    return context, weights[:, 0]


class Attention(Layer):
    """Attention over the memory of a row, combined with the input; the equations are those of `elman.layers.Attention`.

    The state is a `Memory` of `KeysAndValues`.
    """

    kind = "attention"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        size, self.memory_size, score = self.input_size, spec.size("memory_size"), spec.word("score", SCORES)
        if score == "dot":
            spec.check(self.memory_size == size, f"a memory_size of {size} with dot", self.memory_size)
        additive = score == "additive"
        self.weight_key = None if score == "dot" else spec.tensor("weight_key", size, self.memory_size)
        self.weight_query = spec.tensor("weight_query", size, size) if additive else None
        self.bias_query = spec.tensor("bias_query", size) if additive else None
        self.weight_score = spec.tensor("weight_score", 1, size)[0] if additive else None
        self.weight = spec.tensor("combine.weight", self.output_size, size + self.memory_size)
        self.bias = spec.tensor("combine.bias", self.output_size)
        self._combine = AffineMap(self.weight, self.bias)
        self._key = None if self.weight_key is None else AffineMap(self.weight_key)
        self._query = None if self.weight_query is None else AffineMap(self.weight_query, self.bias_query)

    def initial_state(self, batch_size: int, memory: Memory | None = None) -> Memory:
        """Return the state with the memory and its keys.

        Args:
            memory: `batch_size` rows, values [M, memory_size]; None for an empty memory.
        Raises:
            ValueError: the memory has another number of rows or features.
        """
        if memory is None:
            empty = Sequences(np.zeros((0, self.memory_size), np.float32), [0])
            memory = Memory(empty, np.zeros(batch_size, np.int64))
        if len(memory.rows) != batch_size:
            raise ValueError(f"Attention: expected a memory for {batch_size} rows, got one for {len(memory.rows)}.")
        check("Attention", "memory", memory.sequences.values, f"M D={self.memory_size}")
        return Memory(memory.sequences.map(self._keys_and_values), memory.rows)

    def step(self, x: np.ndarray, state: Memory) -> tuple[np.ndarray, Memory]:
        return self._read(x, np.ones(len(x), np.int64), state)[0], state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, Memory]:
        memory = self.initial_state(len(sequences)) if state is None else state
        return sequences.map(lambda x: self._read(x, sequences.lengths, memory)[0]), memory

    def attention_weights(self, sequences: Sequences, state: Memory) -> list[np.ndarray]:
        """Return the attention weights of each row, [T, S]; each sums to 1 over S."""
        _, weights = self._read(sequences.values, sequences.lengths, state)
        return state.reads(sequences.lengths).split(weights)

    def _checked_memory(self, memory: Memory, rows: int) -> KeysAndValues:
        """Return the keys and the values of a state, which the native kernel reads without a check of its own."""
        check("Attention", "state", memory.rows, f"B={rows}")
        keys, values = memory.sequences.values
        return KeysAndValues(check_array("Attention", "keys", keys, (self.input_size,), "M"),
                             check_array("Attention", "values", values, (self.memory_size,), "M"))  # fmt: skip

    def _keys_and_values(self, values: np.ndarray) -> KeysAndValues:
        values = np.ascontiguousarray(values, np.float32)
        return KeysAndValues(values if self._key is None else self._key(values), values)

    def _read(self, x: np.ndarray, steps: np.ndarray, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
        """Return the output and the attention weights of all queries."""
        keys, values = self._checked_memory(memory, len(steps))
        x = check_input("Attention", "x", x, self.step_shape, "row {}".format) if self.outermost else x
        query = x if self._query is None else self._query(x)
        context, weights = attend(query, keys, values, memory.reads(steps), self.weight_score)
        joined: Any = self._combine(np.concatenate([x, context], 1))
        return np.tanh(joined, out=joined), weights
