"""Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells.initialization import initialize
from elman.cells.module import CellModule
from elman.kernels.marshal import Recurrence
from elman.network.spec import Spec


class GRU(CellModule):
    """Gated recurrent unit.

    r, z = sigmoid(x W_ih' + h W_hh' + b);  n = tanh(...);  h = (1 - z) n + z h;  y = h

    The *reset* gate r scales the previous h in the candidate n. It applies
    `after` the recurrent product, as in PyTorch and cuDNN: n = tanh(x W_in' + b_n + r (h W_hn' + b_hn)), or
    `before` it, as in Cho et al.:                          n = tanh(x W_in' + b_n + (r h) W_hn').
    The *update* gate z is the fraction of h that a step keeps.

    Args:
        input_size: features of x, D.
        hidden_size: features of the state, H.
        reset: `after` or `before` the recurrent product of the candidate.
        init: `orthogonal` or `pytorch`.
    Shapes:
        x: [N, D]   state: h [B, H]   ->   y: [N, H]
        weight_ih: [3H, D]   weight_hh: [3H, H]   bias: [3H], gates in the order reset, update, candidate
        bias_hn: [H], inside the reset gate, with reset `after` only
    Raises:
        ValueError: x is not [N, input_size]; reset or init is unknown; init is `identity`.
    Example:
        >>> import torch
        >>> from elman import Sequences
        >>> x = Sequences.from_list([torch.zeros(20, 16), torch.zeros(7, 16)])
        >>> y, h = GRU(16, 32).scan(x)
        >>> y.values.shape, h.shape
        (torch.Size([27, 32]), torch.Size([2, 32]))
    """

    kind = "gru"
    gate_names = ("reset", "update", "candidate")
    memory_gate = "update"

    def __init__(self, input_size: int, hidden_size: int, reset: str = "after", init: str = "orthogonal"):
        super().__init__()
        if reset not in ("after", "before"):
            raise ValueError(f"GRU: expected reset to be 'after' or 'before', got {reset!r}.")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.reset = reset
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        bias = torch.empty(4 * hidden_size)
        initialize("GRU", init, 3, self.weight_ih, self.weight_hh, bias)
        self.bias = nn.Parameter(bias[: 3 * hidden_size].clone())
        if reset == "after":
            self.bias_hn = nn.Parameter(bias[3 * hidden_size :].clone())

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.output_size)

    def recurrence(self) -> Recurrence:
        weights = (self.weight_ih, self.weight_hh, self.bias)
        return Recurrence(f"gru_{self.reset}", self, (*weights, self.bias_hn) if self.reset == "after" else weights)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, reset=self.reset)

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def gate_activations(self, x: Tensor, state: Tensor) -> dict[str, Tensor]:
        size = 2 * self.output_size
        r, z = (x[:, :size] + F.linear(state, self.weight_hh[:size])).sigmoid().chunk(2, -1)
        return {"reset": r, "update": z}

    def advance(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h, size = state, 2 * self.output_size
        r, z = self.gate_activations(x, h).values()
        x_n, weight_hn = x[:, size:], self.weight_hh[size:]
        recurrent = r * (F.linear(h, weight_hn) + self.bias_hn) if self.reset == "after" else F.linear(r * h, weight_hn)
        n = (x_n + recurrent).tanh()
        h = n + z * (h - n)
        return h, h
