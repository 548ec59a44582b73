"""Plain RNN, LSTM and GRU by PyTorch's own kernels on packed steps, which on CUDA are cuDNN's."""

from typing import Any

import torch
from torch import Tensor

from elman import state as states
from elman.arrays import like
from elman.kernels.marshal import Recurrence
from elman.sequences import Sequences
from elman.state import State


def applies(layer: Recurrence, x: Tensor) -> bool:
    """Whether they can answer, and are the fastest that there is: on CUDA, for the recurrences that PyTorch has."""
    return x.is_cuda and function(layer) is not None


def function(layer: Recurrence) -> Any:
    """PyTorch's name for a recurrence, None where it has none."""
    if layer.options is not None:
        return None
    if layer.kind == "rnn":
        return {"tanh": torch._VF.rnn_tanh, "relu": torch._VF.rnn_relu}.get(layer.activation)
    return {"lstm": torch._VF.lstm, "gru_after": torch._VF.gru}.get(layer.kind)


def scan(layer: Recurrence, sequences: Sequences, state: State) -> tuple[Sequences, State]:
    """One layer over a ragged batch, from a state [B, H]; differentiable as PyTorch's own."""
    plan, x = sequences.plan, sequences.values
    if not plan.alive:
        return sequences.with_values(x.new_empty(0, layer.units)), state
    weight_ih, weight_hh, bias, *bias_hn = layer.weights
    inner = torch.zeros_like(bias)  # PyTorch's second bias; only a GRU's candidate needs one
    if bias_hn:
        inner = torch.cat([inner[: 2 * layer.units], bias_hn[0]])
    rows = plan.longest_first[: plan.alive[0]]  # rows without steps are not packed
    before = tuple(leaf[None].contiguous() for leaf in states.leaves(states.select(state, rows)))
    y, *final = function(layer)(
        states.select(x, plan.by_time),
        torch.tensor(plan.alive),
        before if len(before) > 1 else before[0],
        (weight_ih, weight_hh, bias, inner),
        True,  # it has biases
        1,  # layer
        0.0,  # no dropout
        True,  # training, which cuDNN's way back asks for; without dropout nothing else depends on it
        False,  # one direction
    )
    last = iter(final)
    stepped = states.map(lambda leaf: leaf.index_copy(0, like(rows, leaf), next(last)[0]), state)
    return sequences.with_values(states.select(y, plan.back_to_steps)), stepped
