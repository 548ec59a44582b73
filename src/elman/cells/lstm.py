"""Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers, Schmidhuber and Cummins 2000)."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells.module import CellModule
from elman.cells.starts import start as start_weights
from elman.kernels.bound import Recurrence
from elman.runtime.words import Spec


class LSTMState(NamedTuple):
    h: Tensor  # [B, H] what the cell shows
    c: Tensor  # [B, H] what it remembers


class LSTM(CellModule):
    """i, f, o = sigmoid(x W_ih' + h W_hh' + b);  g = tanh(...);  c = f c + i g;  h = o tanh(c);  y = h

    The *write* gate i (input gate) lets the candidate g into the memory c, the *keep* gate f (forget gate) says how
    much of c stays, the *read* gate o (output gate) shows it. The gradient flows along c multiplied by f alone. Without
    a forget gate, as in 1997, all of c stays: c = c + i g, a path on which the gradient neither vanishes nor explodes.

    Args:
        input_size: features of x, D.
        hidden_size: features of h and of c, H.
        forget_gate: whether there is a keep gate.
        start: `orthogonal` or `pytorch`.
        forget_bias: where the bias of the keep gate starts: sigmoid(forget_bias) of the memory stays at each step. None
            for 1 (Jozefowicz et al. 2015), and for PyTorch's own where start is `pytorch`.
    Shapes:
        x: [N, D]   state: LSTMState(h [B, H], c [B, H])   ->   y: [N, H]
        weight_ih: [4H, D]   weight_hh: [4H, H]   bias: [4H], gates in the order i, f, g, o (i, g, o: 3H without f)
    Raises:
        ValueError: x is not [N, input_size]; the start is unknown or cannot act; a forget bias without a forget gate.
    Example:
        >>> import torch
        >>> from elman import Sequences
        >>> x = Sequences.from_list([torch.zeros(20, 16), torch.zeros(7, 16)])
        >>> y, (h, c) = LSTM(16, 32).scan(x)
        >>> y.values.shape, c.shape
        (torch.Size([27, 32]), torch.Size([2, 32]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_gate: bool = True,
        start: str = "orthogonal",
        forget_bias: float | None = None,
    ):
        super().__init__()
        if forget_bias is not None and not forget_gate:
            raise ValueError(
                f"LSTM: forget_bias={forget_bias} cannot act with forget_gate=False; leave one of them out."
            )
        self.input_size, self.output_size, self.forget_gate = input_size, hidden_size, forget_gate
        gates = 4 if forget_gate else 3
        self.weight_ih = nn.Parameter(torch.empty(gates * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(gates * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(gates * hidden_size))
        start_weights("LSTM", start, self.weight_ih, self.weight_hh, self.bias)
        if forget_bias is None and start != "pytorch":
            forget_bias = 1.0
        if forget_gate and forget_bias is not None:
            nn.init.constant_(self.bias[hidden_size : 2 * hidden_size], forget_bias)

    def initial_state(self, batch_size: int) -> LSTMState:
        zeros = self.zeros(batch_size, self.output_size)
        return LSTMState(zeros, zeros)

    def recurrence(self) -> Recurrence:
        kind = "lstm" if self.forget_gate else "lstm_without_forget"
        return Recurrence(kind, self, (self.weight_ih, self.weight_hh, self.bias))

    def spec(self, names: Mapping[int, str] | None = None) -> Spec | None:
        return self.spec_of("lstm", names, forget_gate=self.forget_gate)

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def openings(self, x: Tensor, state: LSTMState) -> dict[str, Tensor]:
        gates, _ = self._gates(x, state)
        return {name: gate.sigmoid() for name, gate in gates.items()}

    def advance(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        gates, g = self._gates(x, state)
        kept = gates["keep"].sigmoid() * state.c if self.forget_gate else state.c
        c = kept + gates["write"].sigmoid() * g.tanh()
        h = gates["read"].sigmoid() * c.tanh()
        return h, LSTMState(h, c)

    def _gates(self, x: Tensor, state: LSTMState) -> tuple[dict[str, Tensor], Tensor]:
        """The gates and the candidate before their sigmoid and tanh."""
        names = ("write", "keep", "candidate", "read") if self.forget_gate else ("write", "candidate", "read")
        gates = dict(zip(names, (x + F.linear(state.h, self.weight_hh)).chunk(len(names), -1), strict=True))
        return gates, gates.pop("candidate")
