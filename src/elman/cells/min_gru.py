"""minGRU: a GRU whose gates depend on the input only (Feng et al. 2024, arXiv:2410.01201)."""

from collections.abc import Mapping

from torch import Tensor, nn

from elman.cells.module import CellModule
from elman.kernels.linear import linear
from elman.kernels.linear_scan import linear_scan
from elman.network.spec import Spec
from elman.sequences import Sequences


class MinGRU(CellModule):
    """GRU whose gates depend on the input only.

    z = sigmoid(x W_z' + b_z);  n = x W_n' + b_n;  h = (1 - z) h + z n;  y = h

    No gate reads the state, so a scan is one product over all steps and one linear scan. `gate_activations` returns
    1 - z as the *forget* gate, because it multiplies h as the forget gate of an LSTM multiplies c.

    Args:
        input_size: features of x, D.
        hidden_size: features of the state, H.
    Shapes:
        x: [N, D]   state: h [B, H]   ->   y: [N, H]
        weight_ih: [2H, D]   bias: [2H], in the order update, candidate
    Raises:
        ValueError: x is not [N, input_size].
    Example:
        >>> import torch
        >>> x = Sequences.from_list([torch.zeros(20, 16), torch.zeros(7, 16)])
        >>> y, state = MinGRU(16, 32).scan(x)
        >>> y.values.shape, state.shape
        (torch.Size([27, 32]), torch.Size([2, 32]))
    """

    kind = "min_gru"
    gate_names = ("update", "candidate")
    memory_gate = "forget"
    calls_kernels = True

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, hidden_size
        linear = nn.Linear(input_size, 2 * hidden_size)
        self.weight_ih, self.bias = linear.weight, linear.bias

    def initial_state(self, batch_size: int) -> Tensor:
        return self.zeros(batch_size, self.output_size)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z, n = linear(x, self.weight_ih, self.bias).chunk(2, -1)
        z = z.sigmoid()
        return 1 - z, z * n

    def gate_activations(self, x: tuple[Tensor, Tensor], state: Tensor) -> dict[str, Tensor]:
        return {"forget": x[0]}

    def advance(self, x: tuple[Tensor, Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        forget, new = x
        h = forget * state + new
        return h, h

    def scan(self, sequences: Sequences, state: Tensor | None = None) -> tuple[Sequences, Tensor]:
        sequences, state = self.checked_with_state("scan", sequences, state)
        y, final = linear_scan(*self.project(sequences.values), sequences.layout, state)
        return sequences.with_values(y), final
