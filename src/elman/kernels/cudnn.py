"""Plain RNN, LSTM and GRU by PyTorch's own kernels on packed steps: cuDNN on CUDA."""

from typing import Any

import torch
from torch import Tensor

from elman import state as states
from elman.arrays import like
from elman.kernels.marshal import Recurrence
from elman.sequences import Sequences
from elman.state import State


def applies(layer: Recurrence, x: Tensor) -> bool:
    """Return whether these kernels apply and are fastest: on CUDA, for the recurrences that PyTorch has."""
    return x.is_cuda and function(layer) is not None


def function(layer: Recurrence) -> Any:
    """Return PyTorch's function for a recurrence, or None if it has none."""
    if layer.options is not None:
        return None
    if layer.kind == "rnn":
        return {"tanh": torch._VF.rnn_tanh, "relu": torch._VF.rnn_relu}.get(layer.activation)
    return {"lstm": torch._VF.lstm, "gru_after": torch._VF.gru}.get(layer.kind)


def scan(layer: Recurrence, sequences: Sequences, state: State) -> tuple[Sequences, State]:
    """Scan a ragged batch with one layer from a state [B, H]; differentiable like PyTorch's own layers."""
    plan, x = sequences.plan, sequences.values
    if not plan.alive:
        return sequences.with_values(x.new_empty(0, layer.units)), state
    weight_ih, weight_hh, bias, *bias_hn = layer.weights
    inner = torch.zeros_like(bias)  # second bias of PyTorch; only the candidate of a GRU uses it
    if bias_hn:
        inner = torch.cat([inner[: 2 * layer.units], bias_hn[0]])
    rows = plan.longest_first[: plan.alive[0]]  # rows without steps are not packed
    before = tuple(leaf[None].contiguous() for leaf in states.leaves(states.select(state, rows)))
    y, *final = function(layer)(
        states.select(x, plan.by_time),
        torch.tensor(plan.alive),
        before if len(before) > 1 else before[0],
        (weight_ih, weight_hh, bias, inner),
        True,  # biases
        1,  # layer
        0.0,  # no dropout
        True,  # training: cuDNN's backward pass requires it; without dropout it has no other effect
        False,  # bidirectional
    )
    last = iter(final)
    stepped = states.map(lambda leaf: leaf.index_copy(0, like(rows, leaf), next(last)[0]), state)
    return sequences.with_values(states.select(y, plan.back_to_steps)), stepped
