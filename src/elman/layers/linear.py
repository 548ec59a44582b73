"""Affine map of every step."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from elman.kernels.linear import linear
from elman.layers.pointwise import Pointwise
from elman.network.spec import Spec


class Linear(Pointwise):
    """Affine map: y = x W' + b

    Args:
        input_size: features of x, D.
        output_size: features of y, O.
    Shapes:
        x: [N, D]   state: ()   ->   y: [N, O]      weight: [O, D]   bias: [O]
    Raises:
        ValueError: x is not [N, input_size].
    """

    kind = "linear"
    calls_kernels = True

    def __init__(self, input_size: int, output_size: int):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(output_size, input_size)))
        self.bias = nn.Parameter(torch.zeros(output_size))

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names)

    def apply_to(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
