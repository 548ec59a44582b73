"""Simple recurrent network (Elman 1990, "Finding structure in time")."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells.initialization import initialize
from elman.cells.module import CellModule, arguments
from elman.kernels.marshal import Recurrence
from elman.network.spec import Spec

ACTIVATIONS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu, "identity": lambda x: x}


class RNN(CellModule):
    """Simple recurrent network.

    h = f(x W_ih' + h W_hh' + b);  y = h

    Args:
        input_size: features of x, D.
        hidden_size: features of the state, H.
        activation: f: `tanh`, `sigmoid`, `relu` or `identity`; None: `relu` where `init` is `identity`, else `tanh`.
        init: `orthogonal`, `identity` (IRNN, Le et al. 2015) or `pytorch`.
    Shapes:
        x: [N, D]   state: h [B, H]   ->   y: [N, H]
        weight_ih: [H, D]   weight_hh: [H, H]   bias: [H]
    Raises:
        ValueError: x is not [N, input_size]; the activation or init is unknown.
    Example:
        >>> import torch
        >>> from elman import Sequences
        >>> x = Sequences.from_list([torch.zeros(20, 16), torch.zeros(7, 16)])
        >>> y, h = RNN(16, 32).scan(x)
        >>> y.values.shape, h.shape
        (torch.Size([27, 32]), torch.Size([2, 32]))
    """

    kind = "rnn"
    gate_names = ("candidate",)

    def __init__(self, input_size: int, hidden_size: int, activation: str | None = None, init: str = "orthogonal"):
        super().__init__()
        if activation is None:
            activation = "relu" if init == "identity" else "tanh"
        if activation not in ACTIVATIONS:
            raise ValueError(f"RNN: expected activation to be one of {', '.join(ACTIVATIONS)}, got {activation!r}.")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.activation = activation
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        initialize("RNN", init, 1, self.weight_ih, self.weight_hh, self.bias)

    def extra_repr(self) -> str:
        return ", ".join(arguments(self, activation="tanh"))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.output_size)

    def recurrence(self) -> Recurrence:
        return Recurrence("rnn", self, (self.weight_ih, self.weight_hh, self.bias), self.activation)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, activation=self.activation)

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def advance(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h = ACTIVATIONS[self.activation](x + F.linear(state, self.weight_hh))
        return h, h
