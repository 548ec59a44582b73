"""Attention over a memory (Bahdanau et al. 2015, arXiv:1409.0473)."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from elman.cells.module import CellModule
from elman.kernels import autocast
from elman.kernels.attention import attend
from elman.kernels.linear import linear
from elman.layers.linear import Linear
from elman.memory import Memory
from elman.nearest import did_you_mean
from elman.network.attention import SCORES
from elman.network.spec import Spec
from elman.network.states import KeysAndValues
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State


class Attention(CellModule):
    """Attention over the memory of a row, combined with the input.

    y = tanh(W [x, context] + b);  context = sum a_s m_s;  a = softmax(score(x, m_s)) over the memory of the row

    The score is `dot`: x . m;  `general`: x . W m;  or `additive`: v . tanh(W x + U m). The memory is part of the
    state: its keys are computed once, and selecting rows of the state does not copy it. A row with an empty memory has
    a context of zeros. The output y is the attentional vector of Luong et al. (2015, arXiv:1508.04025).

    Args:
        input_size: features of x, D.
        memory_size: features of a step of the memory; D with `dot`.
        output_size: features of y, O.
        score: `additive`, `dot` or `general`.
    Shapes:
        x: [N, D]   state: Memory of KeysAndValues(keys [M, A], values [M, memory_size])   ->   y: [N, O]
    Raises:
        ValueError: x is not [N, input_size] or the memory not [M, memory_size]; the score is unknown, or `dot` with
            memory_size other than input_size.
    Example:
        >>> sources = Sequences(torch.randn(7, 6), [3, 4])
        >>> attention = Attention(8, 6, 16)
        >>> state = attention.initial_state(2, Memory(sources))
        >>> y, _ = attention.step(torch.randn(2, 8), state)
        >>> y.shape
        torch.Size([2, 16])
    """

    kind = "attention"
    calls_kernels = True

    def __init__(self, input_size: int, memory_size: int, output_size: int, score: str = "additive"):
        super().__init__()
        if score not in SCORES:
            raise ValueError(
                f"attention: expected one of {', '.join(SCORES)}, got {score!r}{did_you_mean(score, SCORES)}"
            )
        if score == "dot" and memory_size != input_size:
            raise ValueError(f"attention: dot needs as many features in the memory as in x, got {memory_size} and "
                             f"{input_size}; make them equal, or use general.")  # fmt: skip
        self.input_size, self.memory_size, self.output_size, self.score = input_size, memory_size, output_size, score
        self.weight_key = None if score == "dot" else _uniform(input_size, memory_size)
        self.weight_query = _uniform(input_size, input_size) if score == "additive" else None
        self.bias_query = nn.Parameter(torch.zeros(input_size)) if score == "additive" else None
        self.weight_score = _uniform(1, input_size) if score == "additive" else None
        self.combine = Linear(input_size + memory_size, output_size)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, memory_size=self.memory_size, score=self.score)

    def streams_natively(self) -> bool:
        return False  # the arrays of a stepper have fixed sizes, and memories differ in size

    def initial_state(self, batch_size: int, memory: Memory | None = None) -> Memory:
        """Return the state with the memory and its keys.

        Args:
            memory: `batch_size` rows, values [M, memory_size]; None for an empty memory.
        """
        if memory is None:
            empty = Sequences(self.zeros(0, self.memory_size), [0])
            memory = Memory(empty, np.zeros(batch_size, np.int64))
        if len(memory.rows) != batch_size:
            raise ValueError(f"Attention: expected a memory for {batch_size} rows, got one for {len(memory.rows)}.")
        check("Attention", "memory", memory.sequences.values, f"M D={self.memory_size}")
        return Memory(memory.sequences.map(self._keys_and_values), memory.rows)

    def step(self, x: Tensor, state: Memory) -> tuple[Tensor, Memory]:
        x = self.check_input("step", x)
        state = self.check_state("step", state, len(x))
        return self._read(x, np.ones(len(x), np.int64), state)[0], state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, Memory]:
        sequences, memory = self.checked_with_state("scan", sequences, state)
        return sequences.map(lambda x: self._read(x, sequences.lengths, memory)[0]), memory

    def attention_weights(self, sequences: Sequences, state: Memory) -> list[np.ndarray]:
        """Return the attention weights of each row, [T, S]; each sums to 1 over S."""
        with torch.no_grad():
            _, weights = self._read(sequences.values, sequences.lengths, state)
        return state.reads(sequences.lengths).split(weights.cpu().numpy())

    def _keys_and_values(self, values: Tensor) -> KeysAndValues:
        values = autocast.cast_input(values, self.combine.weight.dtype)
        return KeysAndValues(values if self.weight_key is None else linear(values, self.weight_key), values)

    def _read(self, x: Tensor, steps: np.ndarray, memory: Memory) -> tuple[Tensor, Tensor]:
        query = x if self.weight_query is None else linear(x, self.weight_query, self.bias_query)
        additive = None if self.weight_score is None else self.weight_score[0]
        keys, values = memory.sequences.values
        context, weights = attend(query, keys, values, memory.reads(steps), additive)
        return self.combine.apply_to(torch.cat([x, context], -1)).tanh(), weights


def _uniform(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))
