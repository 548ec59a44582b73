"""Feed-forward network over the last k inputs (NETtalk: Sejnowski and Rosenberg 1987; words: Bengio et al. 2003)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from elman.cells.module import CellModule
from elman.cells.rnn import ACTIVATIONS
from elman.kernels.linear import linear
from elman.kernels.windows import window_linear
from elman.network.spec import Spec
from elman.sequences import Sequences

GAINS = {"tanh": 5 / 3, "sigmoid": 1.0, "relu": 2**0.5, "identity": 1.0}  # initialisation gains, as in PyTorch


class WindowNet(CellModule):
    """Feed-forward layer over the last k inputs.

    y = f(W [x[t-k+1], ..., x[t]] + b)

    The state holds the last k - 1 inputs; older inputs have no influence. Each position in the window has its own
    weights. A stack of these layers is a time-delay neural network (Waibel et al. 1989); `window=1` makes a plain
    hidden layer.

    Args:
        input_size: features of x, D.
        hidden_size: units, H.
        window: number of inputs, k, including the current one; at least 1.
        activation: f: `tanh`, `sigmoid`, `relu` or `identity`.
    Shapes:
        x: [N, D]   state: [B, k - 1, D] the previous inputs, latest last, zeros before the first   ->   y: [N, H]
        weight: [H, k D], the oldest input first   bias: [H]
    Raises:
        ValueError: x is not [N, input_size]; the window is below 1; the activation is unknown.
    Example:
        >>> import torch
        >>> x = Sequences.from_list([torch.zeros(20, 16), torch.zeros(7, 16)])
        >>> y, state = WindowNet(16, 32, window=5).scan(x)
        >>> y.values.shape, state.shape
        (torch.Size([27, 32]), torch.Size([2, 4, 16]))
    """

    kind = "window_net"
    calls_kernels = True

    def __init__(self, input_size: int, hidden_size: int, window: int = 8, activation: str = "tanh"):
        super().__init__()
        if window < 1:
            raise ValueError(f"WindowNet: expected a window of at least 1, got {window}.")
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"WindowNet: expected activation to be one of {', '.join(ACTIVATIONS)}, got {activation!r}."
            )
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        self.window, self.activation = window, activation
        weight = torch.empty(hidden_size, window * input_size)
        self.weight = nn.Parameter(nn.init.xavier_uniform_(weight, GAINS[activation]))
        self.bias = nn.Parameter(torch.zeros(hidden_size))

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.window - 1, self.input_size)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, window=self.window, activation=self.activation)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        x = self.check_input("step", x)
        state = self.check_state("step", state, len(x))
        seen = torch.cat([state, x[:, None]], dim=1)
        return ACTIVATIONS[self.activation](linear(seen.flatten(1), self.weight, self.bias)), seen[:, 1:]

    def scan(self, sequences: Sequences, state: Tensor | None = None) -> tuple[Sequences, Tensor]:
        sequences, state = self.checked_with_state("scan", sequences, state)
        y, last = window_linear(sequences.values, sequences.layout, state, self.weight, self.bias)
        return sequences.with_values(ACTIVATIONS[self.activation](y)), last
